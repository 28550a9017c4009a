"""Broken records that the demo mixes into the stream, each with the reason its dead letter must carry."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from millrace.kernel.errors import Reason

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class BrokenRecord:
    """A record that cannot be used, and why."""

    key: bytes
    value: bytes
    reason: Reason


def broken_records() -> Iterator[BrokenRecord]:
    """Yield one record for each common way in which an app gets an event wrong."""
    yield _record(Reason.INVALID_JSON, raw=b'{"event_id": "broken-1", "user_id": "1", ')
    yield _record(Reason.MISSING_FIELD, item_id=None)
    yield _record(Reason.WRONG_TYPE, value="four stars")
    yield _record(Reason.VALUE_OUT_OF_RANGE, value=11.0)
    yield _record(Reason.INVALID_ID, item_id="i" * 10_000)
    yield _record(Reason.TIMESTAMP_OUT_OF_RANGE, ts_ms=time.time_ns() // 1_000_000 + 365 * _DAY_MS)
    yield _record(Reason.UNKNOWN_EVENT_TYPE, type="telepathy")
    yield _record(Reason.EMPTY_VALUE, raw=b"")


def _record(reason: Reason, raw: bytes | None = None, **changes: object) -> BrokenRecord:
    """Return a valid rating with `changes` applied (None removes the field), or `raw` as it is."""
    fields: dict[str, object] = {
        "event_id": f"broken-{reason}",
        "user_id": "1",
        "item_id": "1",
        "type": "rating",
        "value": 4.0,
        "ts_ms": 1_500_000_000_000,
    }
    fields.update(changes)
    present = {name: value for name, value in fields.items() if value is not None}
    return BrokenRecord(b"1", orjson.dumps(present) if raw is None else raw, reason)
