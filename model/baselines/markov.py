"""The online decayed Markov chain: the count baseline that published streaming results stay below."""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from model.baselines.popularity import RecentPopularity
from streams.statistics.growing import grown
from streams.users import UserState

_LEARNED_LAGS, _SCORED_LAGS = 5, 20
_DECAY = 0.8
_BACK_OFF = 10.0


class DecayedMarkov:
    """Transitions A[j_d, i] += .8^d over 5 lags; scores sum_d .8^d (A + 10 p_i) / (row sum + 10) over 20 lags.

    Plain Python and exact: no row is ever cut. p is recent popularity (3,000 and 30,000 events) with a uniform floor.

    Args:
        size: Item indexes are below this, or the tables grow.
    """

    def __init__(self, size: int) -> None:
        self._rows: defaultdict[int, dict[int, float]] = defaultdict(dict)
        self._sums = np.zeros(size)
        self._recent = (RecentPopularity(size, 3_000.0), RecentPopularity(size, 30_000.0))

    def scores(self, state: UserState, now_ms: int) -> NDArray[np.float64]:
        """Return [N] backed-off transition scores."""
        popularity = 0.49 * self._recent[0].shares + 0.49 * self._recent[1].shares
        popularity += 0.02 / len(popularity)
        if not len(state.items):
            return popularity
        scores = np.zeros(len(popularity))
        from_popularity = 0.0
        for lag, row in enumerate(state.items[:_SCORED_LAGS].tolist()):
            factor = _DECAY**lag / ((self._sums[row] if row < len(self._sums) else 0.0) + _BACK_OFF)
            from_popularity += factor * _BACK_OFF
            followers = self._rows.get(row)
            if followers:
                items = np.fromiter(followers.keys(), np.int64, len(followers))
                scores[items] += factor * np.fromiter(followers.values(), np.float64, len(followers))
        return scores + from_popularity * popularity

    def learn(self, before: UserState, item: int, value: float, ts_ms: int) -> None:
        """Count the transitions from the last items."""
        history = before.items[:_LEARNED_LAGS].tolist()
        highest = max([item, *history])
        if highest >= len(self._sums):
            self._sums = grown(self._sums, highest + 1)
        for lag, row in enumerate(history):
            if row != item:
                self._rows[row][item] = self._rows[row].get(item, 0.0) + _DECAY**lag
                self._sums[row] += _DECAY**lag
        for recent in self._recent:
            recent.learn(before, item, value, ts_ms)
