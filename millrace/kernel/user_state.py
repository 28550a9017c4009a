"""A user's state and what one event does to it: pure, and the same code in worker, rebuild, training and evaluation."""

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.contracts import ActivityEvent, EventPolicy

HISTORY_LENGTH = 200
# As many event ids are remembered as history entries: a producer's retry comes within seconds, not after 200 events.
REMEMBERED_EVENTS = 200

ItemArray = NDArray[np.int32]
_Array = TypeVar("_Array", bound=NDArray[Any])

_NO_ITEMS: ItemArray = np.empty(0, np.int32)
_NO_VALUES: NDArray[np.float32] = np.empty(0, np.float32)
_NO_TIMES: NDArray[np.int64] = np.empty(0, np.int64)
_NO_HASHES: NDArray[np.uint64] = np.empty(0, np.uint64)


@dataclass(frozen=True, slots=True)
class ResolvedEvent:
    """A valid event with its item as a dense index (from 1), its value (0.5 to 5) always set, and its weight.

    A rating has weight 1. An event of weight 0 teaches the statistics nothing about what follows what.
    """

    event_id: str
    user_id: str
    item: int
    value: float
    ts_ms: int
    weight: float = 1.0

    @classmethod
    def of(cls, event: ActivityEvent, item: int, policy: EventPolicy) -> "ResolvedEvent":
        """Return a valid event with its item's index, and value and weight as configured for its type."""
        value, weight = policy.value_of(event), policy.weight_of(event)
        return cls(event.event_id, event.user_id, item, value, event.ts_ms, weight)

    @property
    def event_hash(self) -> int:
        """64-bit hash of the event id; told apart from the few hundred that a user's state holds."""
        return int.from_bytes(blake2b(self.event_id.encode(), digest_size=8).digest(), "little")


@dataclass(frozen=True, slots=True)
class ServedList:
    """The list a user was last shown.

    Args:
        items: Dense item indexes in rank order.
        version: Model version that scored it, or None for a list from online counts.
        arm: `champion` or `challenger`.
        recommendation_id: As published.
        explored: The item in the exploration slot, 0 for none.
    """

    items: tuple[int, ...]
    version: str | None
    arm: str
    recommendation_id: str
    explored: int = 0


@dataclass(frozen=True, slots=True)
class UserState:
    """Everything held about one user.

    Args:
        user_id: Who.
        count: Events applied, repeats of an item included.
        value_sum: Sum of the applied values; the mean is `value_sum / count`.
        items: History [H <= 200] of dense item indexes, newest first by event time.
        values: Their values, [H] float32.
        ts_ms: Their event times, [H] int64, never increasing.
        event_hashes: Hashes of the newest 200 event ids, in order of arrival.
        touched: Every item index ever acted on, in order of first touch, without repeats.
        served: The list last shown, if any.
        proposals: The network's own best items when it last scored this user; candidates of the next list.
    """

    user_id: str
    count: int = 0
    value_sum: float = 0.0
    items: ItemArray = field(default_factory=lambda: _NO_ITEMS)
    values: NDArray[np.float32] = field(default_factory=lambda: _NO_VALUES)
    ts_ms: NDArray[np.int64] = field(default_factory=lambda: _NO_TIMES)
    event_hashes: NDArray[np.uint64] = field(default_factory=lambda: _NO_HASHES)
    touched: ItemArray = field(default_factory=lambda: _NO_ITEMS)
    served: ServedList | None = None
    proposals: ItemArray = field(default_factory=lambda: _NO_ITEMS)

    @property
    def mean_value(self) -> float | None:
        """Mean of the applied values, or None before the first event."""
        return self.value_sum / self.count if self.count else None

    @property
    def last_ts_ms(self) -> int | None:
        """Event time of the newest history entry, or None before the first event."""
        return int(self.ts_ms[0]) if len(self.ts_ms) else None


@dataclass(frozen=True, slots=True)
class Applied:
    """What one event did.

    Args:
        state: The state after the event; the very same object when nothing changed.
        duplicate: The event id was among the remembered ones: nothing changed.
        first_touch: The user had never acted on this item before; only such events can grade a list.
    """

    state: UserState
    duplicate: bool
    first_touch: bool


def apply_event(state: UserState, event: ResolvedEvent) -> Applied:
    """Return the state after `event`; inputs are never modified.

    A late event (older than the newest) takes its place by time in the history; among equal times, arrival
    order decides.
    """
    event_hash = np.uint64(event.event_hash)
    if (state.event_hashes == event_hash).any():
        return Applied(state, duplicate=True, first_touch=False)
    first_touch = not bool((state.touched == event.item).any())
    # Nearly every event is the newest of its user.
    newest = not len(state.ts_ms) or event.ts_ms >= state.ts_ms[0]
    place = 0 if newest else int(np.searchsorted(-state.ts_ms, -event.ts_ms, side="left"))
    # Not `dataclasses.replace`, which takes as long as all the rest.
    after = UserState(
        state.user_id,
        state.count + 1,
        state.value_sum + event.value,
        _insert(state.items, place, event.item),
        _insert(state.values, place, event.value),
        _insert(state.ts_ms, place, event.ts_ms),
        _append(state.event_hashes[1 - REMEMBERED_EVENTS :], event_hash),
        _append(state.touched, np.int32(event.item)) if first_touch else state.touched,
        state.served,
        state.proposals,
    )
    return Applied(after, duplicate=False, first_touch=first_touch)


def _append(array: _Array, value: Any) -> _Array:
    """Return `array` with `value` behind it."""
    out = np.empty(len(array) + 1, array.dtype)
    out[:-1] = array
    out[-1] = value
    return out  # type: ignore[return-value]


def _insert(array: _Array, place: int, value: float) -> _Array:
    """Return `array` with `value` before position `place`, cut to the history length."""
    if place >= HISTORY_LENGTH:
        return array
    out = np.empty(min(len(array) + 1, HISTORY_LENGTH), array.dtype)
    out[:place] = array[:place]
    out[place] = value
    out[place + 1 :] = array[place : len(out) - 1]
    return out  # type: ignore[return-value]
