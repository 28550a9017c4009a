"""All data held about a user, as JSON values."""

import time
from collections.abc import Sequence
from typing import Any

import orjson

from millrace.consumers.privacy.events import events_of
from millrace.kernel.errors import ConfigurationError
from millrace.kernel.settings import Settings
from millrace.kernel.user_state import ServedList, UserState
from millrace.stores.event_log import EventLog, LoggedEvent
from millrace.stores.redis.stores import Stores
from millrace.streams.statistics.tail import decode_tail

# In `ServedList.explored`: no item of the list took the exploration slot.
_NO_ITEM = 0


async def export(log: EventLog, stores: Stores, settings: Settings, user_id: str) -> dict[str, Any]:
    """Return everything that Redis and the event log hold about a user; times are in milliseconds since 1970.

    Args:
        log: The event log.
        stores: Open stores.
        settings: For the topics' names.
        user_id: The user.

    Raises:
        ConfigurationError: Nothing is held about this user.
        TransientError: Redis or the log does not answer.
        FatalError: What Redis holds about the person cannot be read.
    """
    (state,) = await stores.users.load([user_id])
    (tail,) = await stores.statistics.tails([user_id])
    record = await stores.users.record(user_id)
    remembered = decode_tail(user_id, tail)
    events = [_event(each) for each in events_of(log, user_id)]
    if not (events or state.count or remembered.count or record):
        raise ConfigurationError(f"Nothing is held about {user_id!r}: there is no such user, or it was forgotten.")
    names = await _names(stores, [state, remembered])
    return {
        "user_id": user_id,
        "exported_at_ms": time.time_ns() // 1_000_000,
        "profile": {
            **_state(state, names),
            "touched": _ids(state.touched.tolist(), names),
            "proposals": _ids(state.proposals.tolist(), names),
            "served": None if state.served is None else _served(state.served, names),
            "recommendation": None if record is None else orjson.loads(record),
        },
        "statistics_memory": _state(remembered, names),
        "events": events,
        "topics_with_records_of_this_key": [
            settings.topics.events,
            settings.topics.recommendations,
            settings.topics.dead_letters,
        ],
    }


async def _names(stores: Stores, states: Sequence[UserState]) -> dict[int, str | None]:
    indexes: set[int] = set()
    for state in states:
        indexes.update(state.items.tolist(), state.touched.tolist(), state.proposals.tolist())
        if state.served is not None:
            indexes.update({*state.served.items, state.served.explored} - {_NO_ITEM})
    ordered = sorted(indexes)
    return dict(zip(ordered, await stores.catalogue.item_ids(ordered), strict=True))


def _ids(indexes: Sequence[int], names: dict[int, str | None]) -> list[str | None]:
    return [names[index] for index in indexes]


def _state(state: UserState, names: dict[int, str | None]) -> dict[str, Any]:
    entries = zip(state.items.tolist(), state.values.tolist(), state.ts_ms.tolist(), strict=True)
    return {
        "count": state.count,
        "mean_value": state.mean_value,
        "history": [{"item_id": names[item], "value": value, "ts_ms": ts_ms} for item, value, ts_ms in entries],
        "hashes_of_event_ids": [f"{number:016x}" for number in state.event_hashes.tolist()],
    }


def _served(served: ServedList, names: dict[int, str | None]) -> dict[str, Any]:
    return {
        "items": _ids(served.items, names),
        "explored": names.get(served.explored),
        "model_version": served.version,
        "arm": served.arm,
        "recommendation_id": served.recommendation_id,
    }


def _event(logged: LoggedEvent) -> dict[str, Any]:
    place = {"partition": logged.partition, "offset": logged.offset, "received_ts_ms": logged.received_ts_ms}
    return {**place, **logged.event.model_dump(exclude_none=True)}
