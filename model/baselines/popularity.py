"""AllTimePopularity, of all time and of late."""

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.user_state import UserState
from millrace.streams.statistics.growing import grown

_RESCALE_AT = 1e100


class AllTimePopularity:
    """The number of events of each item.

    Args:
        size: Item indexes are below this, or the table grows.
    """

    def __init__(self, size: int) -> None:
        self._counts = np.zeros(size)

    def scores(self, state: UserState, now_ms: int) -> NDArray[np.float64]:
        """Return [N] all-time counts."""
        return self._counts.copy()

    def learn(self, before: UserState, item: int, value: float, ts_ms: int) -> None:
        """Count the item."""
        if item >= len(self._counts):
            self._counts = grown(self._counts, item + 1)
        self._counts[item] += 1.0


class RecentPopularity:
    """Counts that fade exponentially with the events that follow; forward decay, rescaled now and then.

    Args:
        size: Item indexes are below this, or the table grows.
        decay_events: Time constant.
    """

    def __init__(self, size: int, decay_events: float = 3_000.0) -> None:
        self._weights = np.zeros(size)
        self._growth = 1.0
        self._total = 0.0
        self._factor = float(np.exp(1.0 / decay_events))

    def scores(self, state: UserState, now_ms: int) -> NDArray[np.float64]:
        """Return [N] decayed counts, up to a common factor."""
        return self._weights.copy()

    def learn(self, before: UserState, item: int, value: float, ts_ms: int) -> None:
        """Count the item, newer events more."""
        if item >= len(self._weights):
            self._weights = grown(self._weights, item + 1)
        self._growth *= self._factor
        self._weights[item] += self._growth
        self._total += self._growth
        if self._growth > _RESCALE_AT:
            self._weights /= self._growth
            self._total /= self._growth
            self._growth = 1.0

    @property
    def shares(self) -> NDArray[np.float64]:
        """Return [N] shares that sum to 1 once there are events."""
        return self._weights / max(self._total, 1e-12)
