"""The event log as columns, the input of all training."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

_NO_WEIGHTS: NDArray[np.float32] = np.empty(0, np.float32)


@dataclass(frozen=True, slots=True)
class EventTable:
    """Events in log order, one per row, without duplicate event ids.

    Args:
        users: [N] int32 user numbers, dense from 0.
        items: [N] int32 dense item indexes, from 1.
        values: [N] float32 event values, 0.5 to 5.
        ts_ms: [N] int64 event times, in milliseconds since 1970.
        weights: [N] float32 training weight of each event, where a rating has weight 1; 1 by default. An event of
            weight 0 is never a training target.
    """

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    values: NDArray[np.float32]
    ts_ms: NDArray[np.int64]
    weights: NDArray[np.float32] = field(default_factory=lambda: _NO_WEIGHTS)

    def __post_init__(self) -> None:
        if self.weights is _NO_WEIGHTS:
            object.__setattr__(self, "weights", np.ones(len(self.items), np.float32))

    def __len__(self) -> int:
        return len(self.items)

    def head(self, count: int) -> "EventTable":
        """Return the oldest `count` events."""
        return EventTable(
            self.users[:count], self.items[:count], self.values[:count], self.ts_ms[:count], self.weights[:count]
        )
