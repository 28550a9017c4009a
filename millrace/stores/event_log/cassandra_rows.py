"""The layout of events and items in Cassandra: blocks, write times and rows; pure.

Cassandra keeps the cell with the larger write time. Three kinds of write time make it do what a log needs, without
reading before each write:

- An event beyond the log's end was seen by nobody: its time rises with the clock, so a writer that goes on for one that
  was killed replaces what that one left.
- An event below the end is there for good: a second one comes with a time that is smaller than any of those, and
  falls, so that it changes nothing, and the first to fill a gap stays.
- A deletion's time is larger than both.
"""

import itertools
import threading
import time
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from millrace.kernel.contracts import ActivityEvent, CatalogueItem
from millrace.stores.event_log.protocol import LoggedEvent

# Offsets in one Cassandra partition. At about 300 bytes an event some 3 MB: small enough to compact and repair, large
# enough that reading a log is mostly sequential.
BLOCK_EVENTS = 10_000
# Cassandra partitions of the catalogue.
ITEM_BUCKETS = 16
# Cassandra partitions of the anonymous counts of forgotten events.
FORGOTTEN_BUCKETS = 16
# Kept under the coordinates of a forgotten event, with the write time of a deletion: they stay taken.
FORGOTTEN = ""

# In microseconds since 1970 this is the year 2112: until then write times stay positive and below a deletion's.
_MIDDLE_US = 1 << 52
DELETED_US = 1 << 53

EventRow = tuple[int, int, int, str]
"""Partition, offset, received_ts_ms, the event as JSON."""

_event = ActivityEvent.__pydantic_validator__.validate_json
_event_json = ActivityEvent.__pydantic_serializer__.to_json
_item = CatalogueItem.__pydantic_validator__.validate_json
_item_json = CatalogueItem.__pydantic_serializer__.to_json


class WriteTimes:
    """Write times from one clock, each greater than the last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_us = 0

    def rising_us(self) -> int:
        """Return the time in microseconds, later than the one before: the newest write wins."""
        with self._lock:
            self._last_us = max(self._last_us + 1, time.time_ns() // 1000)
            return self._last_us

    def fresh_us(self) -> int:
        """Return a time for an event beyond the log's end: the newest write wins."""
        return _MIDDLE_US + self.rising_us()

    def late_us(self) -> int:
        """Return a time for an event below the log's end: what is there wins."""
        return first_wins(self.rising_us())


def first_wins(rising_us: int) -> int:
    """Return a time with which the first of several writes wins, but loses to that of any fresh event."""
    return _MIDDLE_US - rising_us


def block_of(offset: int) -> int:
    """Return the block that an offset lies in."""
    return offset // BLOCK_EVENTS


def bounds_of(block: int) -> tuple[int, int]:
    """Return the first and the last offset of a block."""
    return block * BLOCK_EVENTS, (block + 1) * BLOCK_EVENTS - 1


def event_text(event: ActivityEvent) -> str:
    """Return an event as JSON, without its absent fields."""
    return _event_json(event, exclude_none=True).decode()


def logged_event(row: EventRow) -> LoggedEvent:
    """Return the event of one row."""
    partition, offset, received_ts_ms, text = row
    event: ActivityEvent = _event(text)
    return LoggedEvent(partition, offset, received_ts_ms, event)


def item_text(item: CatalogueItem) -> str:
    """Return an item as JSON."""
    return _item_json(item, exclude_none=True).decode()


def catalogue_item(text: str) -> CatalogueItem:
    """Return the item of one row."""
    item: CatalogueItem = _item(text)
    return item


def bucket_of(item_id: str) -> int:
    """Return the bucket of an item."""
    return zlib.crc32(item_id.encode()) % ITEM_BUCKETS


def chunks(
    rows: Iterable[tuple[Any, int, Any]], most_rows: int, most_bytes: int, most_keys: int | None = None
) -> Iterator[list[Any]]:
    """Cut rows into lists small enough for one request, keeping their order.

    Args:
        rows: Key of the Cassandra partition, size in bytes, the row.
        most_rows: Rows in a list.
        most_bytes: Bytes in a list; a single larger row goes alone.
        most_keys: Consecutive keys in a list; without it a list has one key.
    """
    if most_keys is None:
        for _, same in itertools.groupby(rows, key=lambda each: each[0]):
            yield from _cut(same, most_rows, most_bytes, 1)
    else:
        yield from _cut(rows, most_rows, most_bytes, most_keys)


def _cut(rows: Iterable[tuple[Any, int, Any]], most_rows: int, most_bytes: int, most_keys: int) -> Iterator[list[Any]]:
    chunk: list[Any] = []
    size = 0
    keys: set[Any] = set()
    for key, row_bytes, row in rows:
        full = len(chunk) >= most_rows or size + row_bytes > most_bytes or len(keys | {key}) > most_keys
        if chunk and full:
            yield chunk
            chunk, size, keys = [], 0, {key}
        chunk.append(row)
        size += row_bytes
        keys.add(key)
    if chunk:
        yield chunk
