"""How often items are acted on: ever, lately, by the length of the user's history; and how well they are rated.

Decayed counts are kept as of the item's own last event and faded on reading, so nothing needs a sweep.
"""

import struct
from bisect import bisect_left

import numpy as np
from numpy.typing import NDArray

from millrace.streams.statistics.growing import grown
from millrace.streams.statistics.popularity_kernel import learn_popularity

# Time constants of the decayed counts, in events.
DECAY_EVENTS = (300.0, 3_000.0, 30_000.0)
# Upper bounds of the history-length buckets; longer histories share the last bucket.
HISTORY_BUCKET_BOUNDS = (0, 2, 5, 10, 25, 60, 120, 250)
HISTORY_BUCKETS = len(HISTORY_BUCKET_BOUNDS) + 1
# Counts by history length fade with this time constant, in events.
BUCKET_DECAY_EVENTS = 30_000.0
# Items fall into classes by their count: 0, 1, 2, 3-4, 5-8, ...; the last class is open.
POPULARITY_CLASSES = 14
# Events by class fade with this time constant, in events.
CLASS_DECAY_EVENTS = 3_000.0
CHUNK_ITEMS = 1024

_HEADER = struct.Struct("<BxHxxxx")  # format version, items
_VERSION = 2
_DECAYS = np.array(DECAY_EVENTS)


def history_bucket(length: int) -> int:
    """Return the bucket (0 to 8) of a user with `length` events."""
    return bisect_left(HISTORY_BUCKET_BOUNDS, length)


def popularity_class(count: int) -> int:
    """Return the class (0 to 13) of an item with `count` events."""
    return min((count - 1).bit_length() + 1 if count else 0, POPULARITY_CLASSES - 1)


class Popularity:
    """Arrays by item index; index 0 is unused.

    Attributes:
        counts: [N] int64 events, whatever their weight.
        decayed: [N, 3] float32, as of `last_clock`.
        by_history: [N, HISTORY_BUCKETS] float32, as of `last_clock`.
        value_sums: [N] float64.
        last_clock: [N] int64 clock of the item's last event, 0 before the first.
        first_clock: [N] int64 clock of the item's first event, 0 before it.
    """

    def __init__(self) -> None:
        self.counts: NDArray[np.int64] = np.zeros(CHUNK_ITEMS, np.int64)
        self.decayed: NDArray[np.float32] = np.zeros((CHUNK_ITEMS, len(DECAY_EVENTS)), np.float32)
        self.by_history: NDArray[np.float32] = np.zeros((CHUNK_ITEMS, HISTORY_BUCKETS), np.float32)
        self.value_sums: NDArray[np.float64] = np.zeros(CHUNK_ITEMS, np.float64)
        self.last_clock: NDArray[np.int64] = np.zeros(CHUNK_ITEMS, np.int64)
        self.first_clock: NDArray[np.int64] = np.zeros(CHUNK_ITEMS, np.int64)

    def __len__(self) -> int:
        return len(self.counts)

    def ensure(self, size: int) -> None:
        """Make room for indexes below `size`."""
        if size > len(self):
            self.counts = grown(self.counts, size)
            self.decayed = grown(self.decayed, size)
            self.by_history = grown(self.by_history, size)
            self.value_sums = grown(self.value_sums, size)
            self.last_clock = grown(self.last_clock, size)
            self.first_clock = grown(self.first_clock, size)

    def learn(self, item: int, value: float, history_length: int, clock: int, weight: float = 1.0) -> None:
        """Count one event of an item; `clock` is that of this event, `weight` what it adds to the decayed counts."""
        learn_popularity(
            item,
            float(value),
            history_bucket(history_length),
            clock,
            float(weight),
            _DECAYS,
            BUCKET_DECAY_EVENTS,
            self.counts,
            self.decayed,
            self.by_history,
            self.value_sums,
            self.last_clock,
            self.first_clock,
        )

    def encode(self, chunk: int) -> bytes:
        """Return the CHUNK_ITEMS items of a chunk as bytes."""
        self.ensure((chunk + 1) * CHUNK_ITEMS)
        part = slice(chunk * CHUNK_ITEMS, (chunk + 1) * CHUNK_ITEMS)
        arrays = (self.counts, self.value_sums, self.last_clock, self.first_clock, self.decayed, self.by_history)
        return _HEADER.pack(_VERSION, CHUNK_ITEMS) + b"".join(array[part].tobytes() for array in arrays)

    def decode(self, chunk: int, data: bytes | None) -> None:
        """Take a chunk over from bytes; None empties it.

        Raises:
            ValueError: The bytes are not a chunk of this format.
        """
        self.ensure((chunk + 1) * CHUNK_ITEMS)
        part = slice(chunk * CHUNK_ITEMS, (chunk + 1) * CHUNK_ITEMS)
        arrays = (self.counts, self.value_sums, self.last_clock, self.first_clock, self.decayed, self.by_history)
        if data is None:
            for array in arrays:
                array[part] = 0
            return
        _check_header(data, _HEADER.size + sum(array[part].nbytes for array in arrays))
        start = _HEADER.size
        # The counts come first. Kernels use them as table indexes without a check.
        if np.frombuffer(data, np.int64, CHUNK_ITEMS, start).min() < 0:
            raise ValueError(f"Popularity chunk {chunk} has a count below zero: rebuild the statistics.")
        for array in arrays:
            view = array[part]
            view[...] = np.frombuffer(data, array.dtype, view.size, start).reshape(view.shape)
            start += view.nbytes


def _check_header(data: bytes, expected_bytes: int) -> None:
    if len(data) != expected_bytes or _HEADER.unpack_from(data) != (_VERSION, CHUNK_ITEMS):
        raise ValueError(
            f"A popularity chunk of {len(data)} bytes is not of format {_VERSION}: rebuild the statistics."
        )
