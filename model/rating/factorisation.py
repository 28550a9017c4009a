"""Explicit matrix factorisation with biases whose regularisation is learned from the data."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.errors import ConfigurationError
from millrace.model.rating.factorisation_kernel import normal_equations
from millrace.model.rating.sparse import Grouped, grouped

_START_SPREAD = 0.1
_START_BIAS_VARIANCE = 0.1
_START_NOISE = 0.8
# Variances are estimated from many vectors, but never to be exactly 0: the factor could not come back.
_LEAST_VARIANCE = 1e-6


@dataclass(slots=True)
class _FittedFactors:
    """Posterior of one side: users or items.

    Args:
        ratings: Grouped by this side.
        mean: [G, D + 1] bias, then factors.
        cov: [G, D + 1, D + 1].
        variance: [D + 1] of the prior.
    """

    ratings: Grouped
    mean: NDArray[np.float64]
    cov: NDArray[np.float64]
    variance: NDArray[np.float64]

    @property
    def used(self) -> NDArray[np.bool_]:
        """[G] bool: has ratings."""
        return np.diff(self.ratings.starts) > 0

    def learn_variance(self) -> None:
        """Set the prior's variances to the most likely ones (empirical Bayes)."""
        used = self.used
        second = np.square(self.mean[used]) + np.diagonal(self.cov[used], axis1=1, axis2=2)
        self.variance = np.maximum(second.mean(axis=0), _LEAST_VARIANCE)


class RatingFactorisation:
    """Rating = mean + user bias + item bias + user factors . item factors, by mean-field variational inference.

    Y. J. Lim and Y. W. Teh, Variational Bayesian Approach to Movie Rating Prediction, 2007. The variance of each
    factor and of the noise is learned, so there is nothing to tune: a factor that the data do not carry vanishes.

    Args:
        rank: D, factors.
        sweeps: Alternations between users and items.
        seed: Of the initial factors.
    """

    name = "matrix_factorisation"

    def __init__(self, rank: int = 16, sweeps: int = 25, seed: int = 0) -> None:
        self._rank, self._sweeps, self._seed = rank, sweeps, seed
        self.mean = 0.0
        self.noise = _START_NOISE
        self._users: _FittedFactors | None = None
        self._items: _FittedFactors | None = None

    def fit(self, users: NDArray[Any], items: NDArray[Any], values: NDArray[Any]) -> "RatingFactorisation":
        """Learn from ratings; numbers of users and items are not negative.

        Args:
            users: [N] int.
            items: [N] int.
            values: [N] ratings.

        Raises:
            ConfigurationError: There are no ratings.
        """
        if not len(values):
            raise ConfigurationError("There are no ratings to factorise; give at least one.")
        values = np.asarray(values, np.float64)
        self.mean, self.noise = float(values.mean()), _START_NOISE
        rng = np.random.default_rng(self._seed)
        user_side = self._side(grouped(users, items, int(users.max()) + 1), rng)
        item_side = self._side(grouped(items, users, int(items.max()) + 1), rng)
        for _ in range(self._sweeps):
            self._update(user_side, item_side, values)
            self._update(item_side, user_side, values)
            user_side.learn_variance()
            item_side.learn_variance()
            self.noise = self._expected_square(user_side, item_side, users, items, values)
        self._users, self._items = user_side, item_side
        return self

    def predict(self, users: NDArray[Any], items: NDArray[Any]) -> NDArray[np.float64]:
        """Return [M] predicted ratings; a user or item without ratings counts as an average one.

        Raises:
            ConfigurationError: It was not fitted.
        """
        own, other = _rows(self._fitted(self._users), users), _rows(self._fitted(self._items), items)
        interaction = np.einsum("nd,nd->n", own[:, 1:], other[:, 1:])
        predicted: NDArray[np.float64] = self.mean + own[:, 0] + other[:, 0] + interaction
        return predicted

    @property
    def item_bias(self) -> NDArray[np.float64]:
        """[items] posterior mean of the item biases."""
        return self._fitted(self._items).mean[:, 0]

    def _side(self, ratings: Grouped, rng: np.random.Generator) -> _FittedFactors:
        count, size = len(ratings.starts) - 1, self._rank + 1
        mean = rng.normal(0.0, _START_SPREAD, (count, size))
        mean[:, 0] = 0.0
        mean[np.diff(ratings.starts) == 0] = 0.0
        variance = np.full(size, 1.0 / max(self._rank, 1))
        variance[0] = _START_BIAS_VARIANCE
        return _FittedFactors(ratings, mean, np.zeros((count, size, size)), variance)

    def _update(self, side: _FittedFactors, other: _FittedFactors, values: NDArray[np.float64]) -> None:
        ratings = side.ratings
        rests = values[ratings.order] - self.mean - other.mean[ratings.others, 0]
        # This side's bias meets a constant; the other side's bias is already taken off.
        design, second = other.mean.copy(), other.cov.copy()
        design[:, 0] = 1.0
        second[:, 0, :] = second[:, :, 0] = 0.0
        gram, right = np.empty_like(side.cov), np.empty_like(side.mean)
        normal_equations(ratings.starts, ratings.others, rests, design, second, gram, right)
        # The other side's bias and factors are uncertain together.
        shared = np.add.reduceat(
            np.vstack([other.cov[ratings.others, 0], np.zeros_like(right[:1])]), ratings.starts[:-1]
        )
        right[:, 1:] -= np.where(side.used[:, None], shared[:, 1:], 0.0)
        side.cov = np.linalg.inv(gram / self.noise + np.diag(1.0 / side.variance))
        side.mean = np.einsum("gde,ge->gd", side.cov, right / self.noise)
        side.mean[~side.used] = 0.0

    def _expected_square(
        self,
        users: _FittedFactors,
        items: _FittedFactors,
        user: NDArray[Any],
        item: NDArray[Any],
        values: NDArray[np.float64],
    ) -> float:
        """Return the mean expected squared residual, the most likely noise."""
        total = 0.0
        step = 1 << 16
        for first in range(0, len(values), step):
            at = slice(first, first + step)
            p, q = users.mean[user[at]], items.mean[item[at]]
            p_cov, q_cov = users.cov[user[at]], items.cov[item[at]]
            rest = values[at] - self.mean - p[:, 0] - q[:, 0] - np.einsum("nd,nd->n", p[:, 1:], q[:, 1:])
            spread = np.einsum("nd,nde,ne->n", q[:, 1:], p_cov[:, 1:, 1:], q[:, 1:])
            spread += np.einsum("nd,nde,ne->n", p[:, 1:], q_cov[:, 1:, 1:], p[:, 1:])
            spread += np.einsum("nde,nde->n", p_cov[:, 1:, 1:], q_cov[:, 1:, 1:])
            spread += p_cov[:, 0, 0] + q_cov[:, 0, 0]
            spread += 2 * np.einsum("nd,nd->n", p_cov[:, 0, 1:], q[:, 1:])
            spread += 2 * np.einsum("nd,nd->n", q_cov[:, 0, 1:], p[:, 1:])
            total += float(np.sum(np.square(rest) + spread))
        return total / len(values)

    @staticmethod
    def _fitted(side: _FittedFactors | None) -> _FittedFactors:
        if side is None:
            raise ConfigurationError("The factorisation has not learned anything yet; call fit first.")
        return side


def _rows(side: _FittedFactors, numbers: NDArray[Any]) -> NDArray[np.float64]:
    """Return [M, D + 1] vectors; zero where the number was never met."""
    known = numbers < len(side.mean)
    rows: NDArray[np.float64] = np.where(known[:, None], side.mean[np.where(known, numbers, 0)], 0.0)
    return rows
