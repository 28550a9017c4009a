"""Bayesian matrix factorisation with side information and moods, by Gibbs sampling."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from millrace.model.rating.chain import Moods
from millrace.model.rating.factorisation_kernel import normal_equations
from millrace.model.rating.sparse import Grouped, grouped

_START_SPREAD = 0.1
# Weak priors of precisions.
_PRIOR_SHAPE = 1.0
_LEAST_SINGULAR = 1e-6


@dataclass(frozen=True, slots=True)
class Ratings:
    """Ratings to learn from, and pairs to predict.

    Args:
        users: [N] int64.
        items: [N] int64.
        values: [N] float64.
        asked_users: [M] int64.
        asked_items: [M] int64.
    """

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    values: NDArray[np.float64]
    asked_users: NDArray[np.int64]
    asked_items: NDArray[np.int64]


class _SampledFactors:
    """Users or items: vectors (bias first, then factors) around what their features say.

    Vectors are N(centre + features @ link, 1 / precision); link and precision have conjugate priors, as in Macau
    (Simm et al., 2015). Features enter by their singular vectors: then the rows of the link are independent.

    Args:
        ratings: Grouped by this side.
        features: [G, F].
        size: D + 1.
        rng: Draws the start.
    """

    def __init__(self, ratings: Grouped, features: NDArray[np.float64], size: int, rng: np.random.Generator) -> None:
        self.ratings = ratings
        count = len(ratings.starts) - 1
        left, singular, _ = np.linalg.svd(features, full_matrices=False)
        kept = singular > _LEAST_SINGULAR
        self._features, self._strength = left[:, kept] * singular[kept], np.square(singular[kept])
        self.vectors = rng.normal(0.0, _START_SPREAD, (count, size))
        self.vectors[:, 0] = 0.0
        self._centre = np.zeros(size)
        self._link = np.zeros((int(kept.sum()), size))
        self._link_precision = 1.0
        self._precision = np.eye(size) * size

    def draw(self, rests: NDArray[np.float64], design: NDArray[np.float64], noise: float, rng: Any) -> None:
        """Draw everything of this side once.

        Args:
            rests: [N] what this side has to explain, in this side's order.
            design: [O, D + 1] the other side's vectors, with 1 for the bias.
            noise: Variance of a rating.
            rng: Source of randomness.
        """
        self._draw_prior(rng)
        count, size = self.vectors.shape
        gram, right = np.empty((count, size, size)), np.empty((count, size))
        nothing = np.empty((0, size, size))
        normal_equations(self.ratings.starts, self.ratings.others, rests, design, nothing, gram, right)
        expected = self._centre + self._features @ self._link
        factor = np.linalg.cholesky(gram / noise + self._precision)
        right = right / noise + expected @ self._precision
        half = np.linalg.solve(factor, right[..., None])
        noisy = half + rng.normal(size=half.shape)
        self.vectors = np.linalg.solve(np.swapaxes(factor, 1, 2), noisy)[..., 0]

    def _draw_prior(self, rng: Any) -> None:
        count, size = self.vectors.shape
        around = self.vectors - self._features @ self._link
        middle = around.mean(axis=0)
        rest = around - middle
        scatter = np.eye(size) + rest.T @ rest + self._link_precision * self._link.T @ self._link
        scatter += count / (count + 1.0) * np.outer(middle, middle)
        self._precision = _draw_wishart(np.linalg.inv(scatter), size + count + len(self._link), rng)
        spread = np.linalg.cholesky(np.linalg.inv(self._precision))
        self._centre = middle * count / (count + 1.0) + spread @ rng.normal(size=size) / np.sqrt(count + 1.0)
        strength = self._strength + self._link_precision
        mean = self._features.T @ (self.vectors - self._centre) / strength[:, None]
        noise = rng.normal(size=self._link.shape) @ spread.T
        self._link = mean + noise / np.sqrt(strength)[:, None]
        energy = np.sum((self._link @ self._precision) * self._link)
        shape = _PRIOR_SHAPE + 0.5 * self._link.size
        self._link_precision = float(rng.gamma(shape) / (_PRIOR_SHAPE + 0.5 * energy))


def _draw_wishart(scale: NDArray[np.float64], freedom: int, rng: Any) -> NDArray[np.float64]:
    """Return one draw of a Wishart distribution (Bartlett's decomposition)."""
    size = len(scale)
    lower = np.tril(rng.normal(size=(size, size)), -1)
    lower[np.diag_indices(size)] = np.sqrt(rng.chisquare(freedom - np.arange(size)))
    root = np.linalg.cholesky(scale) @ lower
    drawn: NDArray[np.float64] = root @ root.T
    return drawn


def sample_predictions(
    ratings: Ratings,
    user_features: NDArray[np.float64],
    item_features: NDArray[np.float64],
    moods: list[Moods],
    rank: int,
    burn_in: int,
    samples: int,
    seed: int,
    bounds: tuple[float, float],
) -> NDArray[np.float64]:
    """Return [M] the mean over samples of the predictions of the asked pairs.

    Salakhutdinov and Mnih, Bayesian Probabilistic Matrix Factorization using Markov Chain Monte Carlo, 2008, with the
    features of `_SampledFactors` and moods on top.

    Args:
        ratings: To learn from, and pairs to predict.
        user_features: [U, F] of all users, those that are only asked for included.
        item_features: [I, G] likewise.
        moods: Paths whose points are the ratings, then the asked pairs.
        rank: D, factors.
        burn_in: First samples, which are thrown away.
        samples: Samples that count.
        seed: Of everything random.
        bounds: Lowest and highest rating; each sample's predictions are cut to them.
    """
    rng = np.random.default_rng(seed)
    users = _SampledFactors(grouped(ratings.users, ratings.items, len(user_features)), user_features, rank + 1, rng)
    items = _SampledFactors(grouped(ratings.items, ratings.users, len(item_features)), item_features, rank + 1, rng)
    mean, known, noise = float(ratings.values.mean()), len(ratings.values), float(ratings.values.var())
    total = np.zeros(len(ratings.asked_users))
    for number in range(burn_in + samples):
        mood = np.zeros(known + len(total)) + sum(one.values for one in moods)
        for own, other in ((users, items), (items, users)):
            design = other.vectors.copy()
            design[:, 0] = 1.0
            order = own.ratings.order
            rests = (ratings.values - mean - mood[:known])[order] - other.vectors[own.ratings.others, 0]
            own.draw(rests, design, noise, rng)
        rest = ratings.values - mean - _product(users.vectors, items.vectors, ratings.users, ratings.items)
        for one in moods:
            others = np.zeros(known + len(total)) + sum(other.values for other in moods if other is not one)
            one.draw(rest - others[:known], noise, rng)
        mood = np.zeros(known + len(total)) + sum(one.values for one in moods)
        square = float(np.sum(np.square(rest - mood[:known])))
        noise = (_PRIOR_SHAPE + 0.5 * square) / float(rng.gamma(_PRIOR_SHAPE + 0.5 * known))
        if number >= burn_in:
            asked = _product(users.vectors, items.vectors, ratings.asked_users, ratings.asked_items)
            total += np.clip(mean + asked + mood[known:], *bounds)
    return total / samples


def _product(
    users: NDArray[np.float64], items: NDArray[np.float64], user: NDArray[np.int64], item: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return both biases plus the product of the factors of each pair."""
    own, other = users[user], items[item]
    product: NDArray[np.float64] = own[:, 0] + other[:, 0] + np.einsum("nd,nd->n", own[:, 1:], other[:, 1:])
    return product
