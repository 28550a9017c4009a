"""The statistics of all items: learned event by event, stored in pages, read by the ranking."""

import math

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.user_state import UserState
from millrace.streams.statistics.popularity import (
    BUCKET_DECAY_EVENTS,
    CHUNK_ITEMS,
    CLASS_DECAY_EVENTS,
    DECAY_EVENTS,
    HISTORY_BUCKETS,
    POPULARITY_CLASSES,
    Popularity,
    history_bucket,
    popularity_class,
)
from millrace.streams.statistics.rows import Rows

NEIGHBOURS_PER_ITEM = 256
_LAST = np.uint64(0xFFFFFFFF)
_FADES = np.exp(-1.0 / np.array(DECAY_EVENTS))
_CLASS_FADE = math.exp(-1.0 / CLASS_DECAY_EVENTS)
_BUCKET_FADE = math.exp(-1.0 / BUCKET_DECAY_EVENTS)


class ItemStatistics:
    """What follows what across all users, and what is popular; see `rows` and `popularity` for the parts.

    A keeper learns with `update` and writes what `take_dirty` names; a worker fills the same object with `load_page`,
    `load_popularity_chunk` and `load_scalars`. The clock counts the events learned and is the time of every decay.

    Args:
        neighbours_per_item: Neighbours kept per item; fewer than 8 make no useful list.
    """

    def __init__(self, neighbours_per_item: int = NEIGHBOURS_PER_ITEM) -> None:
        self.rows = Rows(neighbours_per_item)
        self.popularity = Popularity()
        self.clock = 0
        self.last_ts_ms = 0
        self.value_sum = 0.0
        self.decayed_totals: NDArray[np.float64] = np.zeros(len(DECAY_EVENTS))
        self.class_totals: NDArray[np.float64] = np.zeros(POPULARITY_CLASSES)
        self.bucket_totals: NDArray[np.float64] = np.zeros(HISTORY_BUCKETS)
        # Grows with every change of popularity, so that derived data can be renewed.
        self.popularity_sequence = 0
        self._dirty_chunks: set[int] = set()
        self._order: NDArray[np.int32] = np.empty(0, np.int32)
        self._order_sequence = -1

    def update(self, before: UserState, item: int, value: float, ts_ms: int, weight: float = 1.0) -> None:
        """Learn that `item` followed a user's state; a tail (`trim`) and the full state teach the same.

        Args:
            before: The user's state before the event.
            item: Dense index, from 1.
            value: 0.5 to 5.
            ts_ms: Event time; the decays run on the clock, not on it.
            weight: What the event adds to transitions and decayed counts; 1 for a rating. Counts stay whole numbers.
        """
        if weight > 0.0:
            self.rows.learn(before.items, item, self.clock, weight)
        self.popularity.ensure(item + 1)
        self.class_totals *= _CLASS_FADE
        self.class_totals[popularity_class(int(self.popularity.counts[item]))] += weight
        self.clock += 1
        self.last_ts_ms = max(self.last_ts_ms, ts_ms)
        self.popularity.learn(item, value, before.count, self.clock, weight)
        self.value_sum += value
        self.bucket_totals *= _BUCKET_FADE
        self.bucket_totals[history_bucket(before.count)] += weight
        self.decayed_totals *= _FADES
        self.decayed_totals += weight
        self._dirty_chunks.add(item // CHUNK_ITEMS)
        self.popularity_sequence += 1

    @property
    def mean_value(self) -> float:
        """Mean of all values learned; 3.5 before the first."""
        return self.value_sum / self.clock if self.clock else 3.5

    def ensure(self, size: int) -> None:
        """Make room for item indexes below `size`."""
        self.rows.ensure(size)
        self.popularity.ensure(size)

    def take_dirty(self) -> tuple[list[int], list[int]]:
        """Return the item pages and popularity chunks changed since the last call."""
        chunks = sorted(self._dirty_chunks)
        self._dirty_chunks.clear()
        return self.rows.take_dirty(), chunks

    def page(self, item: int) -> bytes:
        """Return an item's page."""
        return self.rows.encode(item)

    def load_page(self, item: int, data: bytes | None) -> None:
        """Replace an item's row by a page; None empties it.

        Raises:
            ValueError: The bytes are not a page of this format.
        """
        self.rows.decode(item, data)

    def popularity_chunk(self, chunk: int) -> bytes:
        """Return the popularity of items `1024 * chunk` and the 1023 after it."""
        return self.popularity.encode(chunk)

    def load_popularity_chunk(self, chunk: int, data: bytes | None) -> None:
        """Replace a chunk; None empties it.

        Raises:
            ValueError: The bytes are not a chunk of this format.
        """
        self.popularity.decode(chunk, data)
        self.popularity_sequence += 1

    @property
    def popularity_chunks(self) -> int:
        """How many chunks cover all items seen so far."""
        return len(self.popularity) // CHUNK_ITEMS

    def scalars(self) -> dict[str, str]:
        """Return clock and totals as text that `load_scalars` reads back exactly."""
        totals = {f"bucket_total_{number}": repr(float(total)) for number, total in enumerate(self.bucket_totals)}
        totals |= {f"decayed_total_{number}": repr(float(total)) for number, total in enumerate(self.decayed_totals)}
        totals |= {f"class_total_{number}": repr(float(total)) for number, total in enumerate(self.class_totals)}
        return {
            "clock": str(self.clock),
            "last_ts_ms": str(self.last_ts_ms),
            "value_sum": repr(self.value_sum),
            **totals,
        }

    def load_scalars(self, scalars: dict[str, str]) -> None:
        """Take clock and totals over; missing ones are 0, unknown ones are ignored."""
        self.clock = int(scalars.get("clock", "0"))
        self.last_ts_ms = int(scalars.get("last_ts_ms", "0"))
        self.value_sum = float(scalars.get("value_sum", "0"))
        for number in range(HISTORY_BUCKETS):
            self.bucket_totals[number] = float(scalars.get(f"bucket_total_{number}", "0"))
        for number in range(POPULARITY_CLASSES):
            self.class_totals[number] = float(scalars.get(f"class_total_{number}", "0"))
        for number in range(len(DECAY_EVENTS)):
            self.decayed_totals[number] = float(scalars.get(f"decayed_total_{number}", "0"))
        self.popularity_sequence += 1

    def popularity_order(self) -> NDArray[np.int32]:
        """Return all item indexes (from 1) by all-time count, most first; ties by index. Do not modify."""
        if self._order_sequence != self.popularity_sequence:
            counts = self.popularity.counts[1:].astype(np.uint64)
            # Sorting keys with the index in the lower half is several times as fast as an argsort of the counts.
            keys = (counts << np.uint64(32)) | (_LAST - np.arange(1, len(counts) + 1, dtype=np.uint64))
            self._order = (_LAST - (np.sort(keys)[::-1] & _LAST)).astype(np.int32)
            self._order_sequence = self.popularity_sequence
        return self._order
