"""Moods: what a user's ratings share with those next to them, as one part of a Gibbs sampler."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from millrace.model.rating.chain_kernel import draw_paths, path_energy

_START_VARIANCE = 0.05
# A weak prior: as if this many steps of the start variance had been seen.
_PRIOR_STEPS = 20.0


class Moods:
    """One path per user over its ratings' order or time; ratings to predict are points of it without a value.

    Variance and correlation length are drawn along with the paths: the length from a grid.

    Args:
        users: [N] user of each point, known ones first.
        coordinates: [N] float64 place or time of each point.
        known: K, how many points have values.
        lengths: Grid of correlation lengths, in the unit of the coordinates.
    """

    def __init__(
        self, users: NDArray[Any], coordinates: NDArray[np.float64], known: int, lengths: NDArray[np.float64]
    ) -> None:
        self._order = np.lexsort((coordinates, users))
        sorted_users = users[self._order]
        changes = np.flatnonzero(sorted_users[1:] != sorted_users[:-1]) + 1
        self._starts = np.concatenate([[0], changes, [len(users)]]).astype(np.int64)
        self._coordinates = coordinates[self._order].astype(np.float64)
        self._known = self._order < known
        self._lengths = lengths
        self.length = float(lengths[len(lengths) // 2])
        self.variance = _START_VARIANCE
        self.values: NDArray[np.float64] = np.zeros(len(users))

    def draw(self, rests: NDArray[np.float64], noise: float, rng: np.random.Generator) -> None:
        """Draw paths, variance and length.

        Args:
            rests: [K] what the paths have to explain.
            noise: Variance of a rating.
            rng: Source of randomness.
        """
        padded = np.zeros(len(self.values))
        padded[: len(rests)] = rests
        path = np.empty(len(self.values))
        draw_paths(
            self._starts,
            self._coordinates,
            padded[self._order],
            self._known,
            noise,
            self.variance,
            self.length,
            rng.normal(size=len(path)),
            path,
        )
        self.values[self._order] = path
        energies = [path_energy(self._starts, self._coordinates, path, length) for length in self._lengths]
        log_density = np.array([-0.5 * (energy / self.variance + spread) for energy, spread, _ in energies])
        chance = np.exp(log_density - log_density.max())
        chosen = int(rng.choice(len(chance), p=chance / chance.sum()))
        self.length = float(self._lengths[chosen])
        energy, _, steps = energies[chosen]
        scale = 0.5 * (energy + _PRIOR_STEPS * _START_VARIANCE)
        self.variance = float(scale / rng.gamma(0.5 * (steps + _PRIOR_STEPS)))
