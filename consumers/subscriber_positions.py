"""Where a subscriber's group resumes each partition."""

from collections import defaultdict


class Positions:
    """The offset to resume from, by partition: the first list that was not handled, else behind the last record read.

    Lists may be handled in any order, and records may arrive again after a rebalance.
    """

    def __init__(self) -> None:
        self._open: defaultdict[int, set[int]] = defaultdict(set)
        self._end: dict[int, int] = {}
        self._taken: dict[int, int] = {}

    def read(self, partition: int, offset: int, *, is_open: bool) -> None:
        """Note a record; one that is left out (`is_open` false) needs no handling."""
        self._end[partition] = offset + 1
        if is_open:
            self._open[partition].add(offset)

    def close(self, partition: int, offset: int) -> None:
        """Note that a record was handled."""
        self._open[partition].discard(offset)

    def take_changed(self) -> dict[int, int]:
        """Return the positions that have changed since the last call, by partition."""
        positions = {partition: min(self._open[partition], default=end) for partition, end in self._end.items()}
        changed = {partition: at for partition, at in positions.items() if self._taken.get(partition) != at}
        self._taken |= changed
        return changed
