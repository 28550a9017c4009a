"""The rows of neighbours, one per item, and their page format."""

import struct

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.user_state import ItemArray
from millrace.streams.compiled import plain
from millrace.streams.statistics.growing import grown
from millrace.streams.statistics.row_kernels import LEARNED_LAGS, STATISTICS, learn_rows

_HEADER = struct.Struct("<BBHxxxxd")  # format version, statistics per neighbour, neighbours, landmark
_VERSION = 1
_FIRST_ROWS = 1024


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
        """Replace a row; None empties it. A page with more neighbours than fit keeps its first ones.

        Raises:
            ValueError: The bytes are not a page of this format.
        """
        self.ensure(item + 1)
        if data is None:
            self.lengths[item] = 0
            self.sums[item] = 0.0
            self.landmarks[item] = 0.0
            return
        version, statistics, length, landmark = _HEADER.unpack_from(data.ljust(_HEADER.size, b"\0"))
        expected = _HEADER.size + 8 * STATISTICS + 4 * length * (1 + STATISTICS)
        if (version, statistics, len(data)) != (_VERSION, STATISTICS, expected):
            raise ValueError(
                f"The page of item {item} has format {version} and {len(data)} bytes: rebuild the statistics."
            )
        start = _HEADER.size
        kept = min(length, self.neighbours)
        self.lengths[item] = kept
        self.landmarks[item] = landmark
        self.sums[item] = np.frombuffer(data, np.float64, STATISTICS, start)
        start += 8 * STATISTICS
        self.ids[item, :kept] = np.frombuffer(data, np.int32, kept, start)
        start += 4 * length
        self.values[item, :kept] = np.frombuffer(data, np.float32, kept * STATISTICS, start).reshape(kept, STATISTICS)
