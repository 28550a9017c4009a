"""The rows of neighbours, one per item, and their page format."""

import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.user_state import ItemArray
from millrace.streams.compiled import plain
from millrace.streams.statistics.growing import MOST_ITEMS, grown
from millrace.streams.statistics.row_kernels import LEARNED_LAGS, STATISTICS, learn_rows

_HEADER = struct.Struct("<BBHxxxxd")  # format version, statistics per neighbour, neighbours, landmark
_VERSION = 1
_FIRST_ROWS = 1024


class Page(NamedTuple):
    """A row as stored; its arrays are read-only.

    Args:
        landmark: Clock to which timed transitions are scaled.
        sums: [STATISTICS] float64 totals, evicted neighbours included.
        ids: [L] int32 neighbours.
        values: [L, STATISTICS] float32 numbers of each neighbour.
    """

    landmark: float
    sums: NDArray[np.float64]
    ids: NDArray[np.int32]
    values: NDArray[np.float32]


_EMPTY_PAGE = Page(0.0, np.zeros(STATISTICS), np.empty(0, np.int32), np.empty((0, STATISTICS), np.float32))


class Rows:
    """Arrays by item index; index 0 is unused. See `row_kernels` for what the numbers are.

    Args:
        neighbours: K, the most neighbours a row holds; at most 65535.

    Attributes:
        ids: [N, K] int32.
        values: [N, K, STATISTICS] float32.
        lengths: [N] int32 neighbours in use.
        sums: [N, STATISTICS] float64.
        landmarks: [N] float64.
    """

    def __init__(self, neighbours: int) -> None:
        self.neighbours = neighbours
        self.ids: NDArray[np.int32] = np.zeros((_FIRST_ROWS, neighbours), np.int32)
        self.values: NDArray[np.float32] = np.zeros((_FIRST_ROWS, neighbours, STATISTICS), np.float32)
        self.lengths: NDArray[np.int32] = np.zeros(_FIRST_ROWS, np.int32)
        self.sums: NDArray[np.float64] = np.zeros((_FIRST_ROWS, STATISTICS), np.float64)
        self.landmarks: NDArray[np.float64] = np.zeros(_FIRST_ROWS, np.float64)
        self._dirty: NDArray[np.uint8] = np.zeros(_FIRST_ROWS, np.uint8)

    def __len__(self) -> int:
        return len(self.lengths)

    def ensure(self, size: int) -> None:
        """Make room for indexes below `size`."""
        if size > len(self):
            self.ids = grown(self.ids, size)
            self.values = grown(self.values, size)
            self.lengths = grown(self.lengths, size)
            self.sums = grown(self.sums, size)
            self.landmarks = grown(self.landmarks, size)
            self._dirty = grown(self._dirty, size)

    def learn(self, history: ItemArray, item: int, clock: int, weight: float = 1.0) -> None:
        """Learn that `item` followed `history` (newest first), with some weight."""
        highest = max(item, int(history.max())) if len(history) else item
        self.ensure(highest + 1)
        learn_rows(
            plain(history[:LEARNED_LAGS]),
            item,
            clock,
            float(weight),
            self.ids,
            self.values,
            self.lengths,
            self.sums,
            self.landmarks,
            self._dirty,
        )

    def take_dirty(self) -> list[int]:
        """Return the rows changed since the last call."""
        dirty: list[int] = np.flatnonzero(self._dirty).tolist()
        self._dirty[:] = 0
        return dirty

    def encode(self, item: int) -> bytes:
        """Return a row as bytes; `decode` gives exactly the same row back."""
        self.ensure(item + 1)
        length = int(self.lengths[item])
        header = _HEADER.pack(_VERSION, STATISTICS, length, self.landmarks[item])
        return b"".join(
            (
                header,
                self.sums[item].tobytes(),
                self.ids[item, :length].tobytes(),
                self.values[item, :length].tobytes(),
            )
        )

    def decode(self, item: int, data: bytes | None) -> None:
        """Replace a row by a page and make room for its neighbours; None empties the row.

        A page with more neighbours than a row holds loses its last ones.

        Raises:
            ValueError: The bytes are not a page of this format; the row is as before.
        """
        page = parse_page(item, data)
        kept = min(len(page.ids), self.neighbours)
        # Kernels read and write at the neighbours' indexes without a check.
        self.ensure(max(item, int(page.ids[:kept].max(initial=0))) + 1)
        self.lengths[item] = kept
        self.landmarks[item] = page.landmark
        self.sums[item] = page.sums
        self.ids[item, :kept] = page.ids[:kept]
        self.values[item, :kept] = page.values[:kept]


def parse_page(item: int, data: bytes | None) -> Page:
    """Return what a page says; None is the page of an item without neighbours.

    Args:
        item: Whose page it is, for the error.
        data: As made by `Rows.encode`.

    Raises:
        ValueError: The bytes are not a page of this format, or name a neighbour that cannot be an item.
    """
    if data is None:
        return _EMPTY_PAGE
    version, statistics, length, landmark = _HEADER.unpack_from(data.ljust(_HEADER.size, b"\0"))
    expected = _HEADER.size + 8 * STATISTICS + 4 * length * (1 + STATISTICS)
    if (version, statistics, len(data)) != (_VERSION, STATISTICS, expected):
        raise ValueError(f"The page of item {item} has format {version} and {len(data)} bytes: rebuild the statistics.")
    start = _HEADER.size
    sums = np.frombuffer(data, np.float64, STATISTICS, start)
    start += 8 * STATISTICS
    ids = np.frombuffer(data, np.int32, length, start)
    start += 4 * length
    values = np.frombuffer(data, np.float32, length * STATISTICS, start).reshape(length, STATISTICS)
    impossible = ids[(ids < 1) | (ids >= MOST_ITEMS)]
    if len(impossible):
        raise ValueError(
            f"The page of item {item} names {int(impossible[0])} as a neighbour, which is no item: "
            "rebuild the statistics."
        )
    return Page(landmark, sums, ids, values)
