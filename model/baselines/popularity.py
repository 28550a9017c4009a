"""Popularity, of all time and of late."""

import numpy as np
from numpy.typing import NDArray

from streams.users import UserState


class Popularity:
    """The number of events of each item.

    Args:
        size: Item indexes are below this.
    """

    def __init__(self, size: int) -> None:
        self._counts = np.zeros(size)

    def scores(self, state: UserState, now_ms: int) -> NDArray[np.float64]:
        """Return [N] all-time counts."""
        return self._counts

    def learn(self, before: UserState, item: int, ts_ms: int) -> None:
        """Count the item."""
        self._counts[item] += 1.0


class RecentPopularity:
    """Counts that fade exponentially with the events that follow; forward decay, rescaled now and then.

    Args:
        size: Item indexes are below this.
        decay_events: Time constant.
    """

    def __init__(self, size: int, decay_events: float = 3_000.0) -> None:
        self._weights = np.zeros(size)
        self._growth = 1.0
        self._factor = float(np.exp(1.0 / decay_events))

    def scores(self, state: UserState, now_ms: int) -> NDArray[np.float64]:
        """Return [N] decayed counts, up to a common factor."""
        return self._weights

    def learn(self, before: UserState, item: int, ts_ms: int) -> None:
        """Count the item, newer events more."""
        self._growth *= self._factor
        self._weights[item] += self._growth
        if self._growth > 1e100:
            self._weights /= self._growth
            self._growth = 1.0

    @property
    def shares(self) -> NDArray[np.float64]:
        """Return [N] shares that sum to 1 once there are events."""
        return np.asarray(self._weights / max(self._weights.sum(), 1e-12))
