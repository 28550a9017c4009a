"""Popularity baselines: event counts over the whole log, and exponentially decayed counts."""

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.user_state import UserState
from millrace.streams.statistics.growing import grown

_RESCALE_AT = 1e100


class AllTimePopularity:
    """Scores items by their number of events.

    Args:
        size: Initial number of items; it grows when a higher item index occurs.
    """

    def __init__(self, size: int) -> None:
        self._counts = np.zeros(size)

    def scores(self, state: UserState, now_ms: int) -> NDArray[np.float64]:
        """Return the event counts, [N] float64."""
        return self._counts.copy()

    def learn(self, before: UserState, item: int, value: float, ts_ms: int) -> None:
        """Count the item."""
        if item >= len(self._counts):
            self._counts = grown(self._counts, item + 1)
        self._counts[item] += 1.0


class RecentPopularity:
    """Scores items by event counts that decay exponentially with the number of later events.

    Instead of decaying all counts at each event, the weight of a new event grows (forward decay). The counts are
    rescaled before the weight overflows.

    Args:
        size: Initial number of items; it grows when a higher item index occurs.
        decay_events: Time constant of the decay, in events of all items.
    """

    def __init__(self, size: int, decay_events: float = 3_000.0) -> None:
        self._weights = np.zeros(size)
        self._growth = 1.0
        self._total = 0.0
        self._factor = float(np.exp(1.0 / decay_events))

    def scores(self, state: UserState, now_ms: int) -> NDArray[np.float64]:
        """Return the decayed counts up to a common factor, [N] float64."""
        return self._weights.copy()

    def learn(self, before: UserState, item: int, value: float, ts_ms: int) -> None:
        """Count the item with the current weight."""
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
        """Return the decayed share of each item, [N] float64; they sum to 1, or are all 0 before the first event."""
        return self._weights / max(self._total, 1e-12)
