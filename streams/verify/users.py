"""Compares users: pure. Redis holds exact numbers, so every number has to be equal."""

from typing import Any

from millrace.kernel.user_state import UserState
from millrace.streams.statistics.tail import trim
from millrace.streams.verify.differences import Difference, Kind


def compare_user(logged: UserState, stored: UserState) -> list[Difference]:
    """Return how a worker's user differs from the log; the list last shown is not in the log."""
    return _compare("user", logged, stored, ("count", "value_sum", "history", "event_hashes", "touched"))


def compare_tail(logged: UserState, stored: UserState) -> list[Difference]:
    """Return how the keeper's memory of a user differs from what the log says.

    Args:
        logged: The user's full state.
        stored: The tail.
    """
    return _compare("tail", trim(logged), stored, ("count", "value_sum", "history", "event_hashes"))


def _compare(kind: Kind, logged: UserState, stored: UserState, fields: tuple[str, ...]) -> list[Difference]:
    pairs = ((name, _value(logged, name), _value(stored, name)) for name in fields)
    return [Difference(kind, logged.user_id, name, one, other) for name, one, other in pairs if one != other]


def _value(state: UserState, name: str) -> Any:
    if name == "history":
        return [
            list(entry) for entry in zip(state.items.tolist(), state.values.tolist(), state.ts_ms.tolist(), strict=True)
        ]
    value = getattr(state, name)
    return value if isinstance(value, int | float) else value.tolist()
