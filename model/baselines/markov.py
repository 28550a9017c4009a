"""A Markov chain over items with decayed lags, learned online."""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.user_state import UserState
from millrace.model.baselines.popularity import RecentPopularity
from millrace.streams.statistics.growing import grown

_LEARNED_LAGS, _SCORED_LAGS = 5, 20
_DECAY = 0.8
_BACK_OFF = 10.0
_FIRST_ROOM = 8


class _Followers:
    """The transition counts of one item, in arrays so that adding them to scores is vectorised."""

    __slots__ = ("_items", "_places", "_sums")

    def __init__(self) -> None:
        self._places: dict[int, int] = {}
        self._items = np.zeros(_FIRST_ROOM, np.int64)
        self._sums = np.zeros(_FIRST_ROOM)

    def add(self, item: int, amount: float) -> None:
        place = self._places.setdefault(item, len(self._places))
        if place >= len(self._items):
            self._items, self._sums = grown(self._items, place + 1), grown(self._sums, place + 1)
        self._items[place] = item
        self._sums[place] += amount

    def add_to(self, scores: NDArray[np.float64], factor: float) -> None:
        count = len(self._places)
        scores[self._items[:count]] += factor * self._sums[:count]


class DecayedMarkov:
    """Scores items by decayed transitions from the user's last items, backed off to recent popularity.

    Let j_d be the user's item at lag d, where lag 0 is the newest item. An event of item i adds 0.8^d to A[j_d, i] for
    the first 5 lags with j_d other than i. The score of i is the sum of 0.8^d (A[j_d, i] + 10 p_i) / (sum of A[j_d] +
    10) over the first 20 lags. p mixes recent popularity with time constants of 3,000 and 30,000 events, with weight
    0.49 each, and a uniform distribution, with weight 0.02. All transitions are kept.

    Args:
        size: Initial number of items; it grows when a higher item index occurs.
    """

    def __init__(self, size: int) -> None:
        self._rows: defaultdict[int, _Followers] = defaultdict(_Followers)
        self._sums = np.zeros(size)
        self._recent = (RecentPopularity(size, 3_000.0), RecentPopularity(size, 30_000.0))

    def scores(self, state: UserState, now_ms: int) -> NDArray[np.float64]:
        """Return the transition scores, [N] float64; popularity for a user without history."""
        popularity = 0.49 * self._recent[0].shares + 0.49 * self._recent[1].shares
        popularity += 0.02 / len(popularity)
        if not len(state.items):
            return popularity
        scores = np.zeros(len(popularity))
        from_popularity = 0.0
        for lag, row in enumerate(state.items[:_SCORED_LAGS].tolist()):
            factor = _DECAY**lag / ((self._sums[row] if row < len(self._sums) else 0.0) + _BACK_OFF)
            from_popularity += factor * _BACK_OFF
            if row in self._rows:
                self._rows[row].add_to(scores, factor)
        return scores + from_popularity * popularity

    def learn(self, before: UserState, item: int, value: float, ts_ms: int) -> None:
        """Count the transitions from the user's last items, and the item's popularity."""
        history = before.items[:_LEARNED_LAGS].tolist()
        highest = max([item, *history])
        if highest >= len(self._sums):
            self._sums = grown(self._sums, highest + 1)
        for lag, row in enumerate(history):
            if row != item:
                self._rows[row].add(item, _DECAY**lag)
                self._sums[row] += _DECAY**lag
        for recent in self._recent:
            recent.learn(before, item, value, ts_ms)
