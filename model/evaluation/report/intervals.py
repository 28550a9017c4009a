"""95 % intervals that take users, not events, as the independent draws.

The percentile bootstrap: B. Efron, R. J. Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13; whole users
are drawn because the events of one user are alike.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1_000
LEVEL = 0.95
# Resamples multiplied at a time: bounds the memory of the floating-point copy.
_CHUNK = 64

Column = NDArray[np.float64]


class Interval(NamedTuple):
    """Lower and upper bound; NaN where nothing was drawn."""

    low: float
    high: float


class UserBootstrap:
    """Resamples of users, drawn once and used for every figure, so that differences are paired.

    Args:
        users: [E] user number of each event.
        seed: Of the draws.
        resamples: Draws; a report's intervals need about 1,000.
    """

    def __init__(self, users: NDArray[np.int32], seed: int, resamples: int = RESAMPLES) -> None:
        present, self._places = np.unique(users, return_inverse=True)
        self._users = len(present)
        rng = np.random.default_rng(seed)
        # How often each user is drawn: [resamples, users]; a count over 255 has no chance to occur.
        self._draws = np.empty((resamples, self._users), np.uint8)
        for row in range(resamples):
            self._draws[row] = np.bincount(rng.integers(self._users, size=self._users), minlength=self._users)

    def intervals(self, numerators: Sequence[Column], denominator: NDArray[np.bool_] | Column) -> list[Interval]:
        """Return the intervals of sum(numerator) / sum(denominator), one per numerator.

        Args:
            numerators: [E] each; events whose denominator is 0 have to be 0.
            denominator: [E] weights, or which events count.
        """
        ratios = self._ratios([*numerators, np.asarray(denominator, np.float64)])
        return [_percentiles(ratios[:, column]) for column in range(len(numerators))]

    def difference(self, first: Column, second: Column, denominator: NDArray[np.bool_] | Column) -> Interval:
        """Return the interval of the first ratio less the second, on the same draws."""
        ratios = self._ratios([first, second, np.asarray(denominator, np.float64)])
        return _percentiles(ratios[:, 0] - ratios[:, 1])

    def group_difference(self, values: Column, first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Interval:
        """Return the interval of the mean of one group of events less that of another."""
        one = self._ratios([values * first, first.astype(np.float64)])
        other = self._ratios([values * second, second.astype(np.float64)])
        return _percentiles(one[:, 0] - other[:, 0])

    def root_means(self, squares: Sequence[Column], denominator: NDArray[np.bool_] | Column) -> list[Interval]:
        """Return the intervals of the square roots of the ratios: RMSE of squared errors."""
        ratios = np.sqrt(self._ratios([*squares, np.asarray(denominator, np.float64)]))
        return [_percentiles(ratios[:, column]) for column in range(len(squares))]

    def _ratios(self, columns: Sequence[Column]) -> NDArray[np.float64]:
        """Return [resamples, K - 1] sums of all but the last column divided by the sum of the last."""
        by_user = np.stack(
            [np.bincount(self._places, weights=column, minlength=self._users) for column in columns], axis=1
        )
        sums = np.concatenate(
            [
                self._draws[first : first + _CHUNK].astype(np.float64) @ by_user
                for first in range(0, len(self._draws), _CHUNK)
            ]
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(sums[:, :-1] / sums[:, -1:])


def none_of(events: int) -> Interval:
    """Return the interval of a rate of which no event had any: the largest one that leaves that a 2.5 % chance."""
    return Interval(0.0, 1.0 - ((1.0 - LEVEL) / 2.0) ** (1.0 / events))


def _percentiles(values: NDArray[np.float64]) -> Interval:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(finite, [(1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0])
    return Interval(float(low), float(high))
