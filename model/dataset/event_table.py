"""The log as columns: what training reads."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

_NO_WEIGHTS: NDArray[np.float32] = np.empty(0, np.float32)


@dataclass(frozen=True, slots=True)
class EventTable:
    """Events in log order, one row each, repeated ids left out.

    Args:
        users: [N] int32 numbers of users, dense from 0.
        items: [N] int32 dense item indexes, from 1.
        values: [N] float32, 0.5 to 5.
        ts_ms: [N] int64 event times.
        weights: [N] float32 what each teaches, in ratings; 1 each if not given. Of weight 0 it is nobody's target.
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
