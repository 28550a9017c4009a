"""Drawing moods: one Ornstein-Uhlenbeck path per user, given noisy values of it."""

import numpy as np
from numpy.typing import NDArray

from millrace.streams.compiled import compiled


@compiled
def draw_paths(
    starts: NDArray[np.int64],
    coordinates: NDArray[np.float64],
    rests: NDArray[np.float64],
    known: NDArray[np.bool_],
    noise: float,
    variance: float,
    length: float,
    normal: NDArray[np.float64],
    path: NDArray[np.float64],
) -> None:
    """Draw every user's path from its posterior: filter forwards, sample backwards (Carter and Kohn, 1994).

    Args:
        starts: [G + 1] first point of each user.
        coordinates: [N] place of each point, never falling within a user.
        rests: [N] noisy values, read where known.
        known: [N] whether there is a value.
        noise: Their variance.
        variance: Of the path at any point.
        length: Over which the path's correlation falls by e.
        normal: [N] standard normal draws.
        path: [N] written.
    """
    means, variances = np.empty(len(rests)), np.empty(len(rests))
    for group in range(len(starts) - 1):
        first, end = starts[group], starts[group + 1]
        mean, spread = 0.0, variance
        for row in range(first, end):
            if row > first:
                kept = np.exp(-(coordinates[row] - coordinates[row - 1]) / length)
                mean = kept * mean
                spread = kept * kept * spread + variance * (1.0 - kept * kept)
            if known[row]:
                gain = spread / (spread + noise)
                mean += gain * (rests[row] - mean)
                spread *= 1.0 - gain
            means[row], variances[row] = mean, spread
        for row in range(end - 1, first - 1, -1):
            mean, spread = means[row], variances[row]
            if row < end - 1:
                kept = np.exp(-(coordinates[row + 1] - coordinates[row]) / length)
                ahead = kept * kept * spread + variance * (1.0 - kept * kept)
                gain = kept * spread / (ahead + 1e-12)
                mean += gain * (path[row + 1] - kept * mean)
                spread = max(spread - gain * kept * spread, 0.0)
            path[row] = mean + np.sqrt(spread) * normal[row]


@compiled
def path_energy(
    starts: NDArray[np.int64], coordinates: NDArray[np.float64], path: NDArray[np.float64], length: float
) -> tuple[float, float, int]:
    """Return energy, log-variance and number of a path's steps: what its density is made of.

    The energy is the sum of squared standardised steps for variance 1, the log-variance that of their product. Points
    at the same coordinate are one point.

    Args:
        starts: [G + 1] first point of each user.
        coordinates: [N].
        path: [N].
        length: As in `draw_paths`.
    """
    energy, log_variance, steps = 0.0, 0.0, 0
    for group in range(len(starts) - 1):
        for row in range(starts[group], starts[group + 1]):
            if row == starts[group]:
                energy += path[row] ** 2
                steps += 1
                continue
            if coordinates[row] == coordinates[row - 1]:
                continue
            kept = np.exp(-(coordinates[row] - coordinates[row - 1]) / length)
            own = 1.0 - kept * kept + 1e-9
            energy += (path[row] - kept * path[row - 1]) ** 2 / own
            log_variance += np.log(own)
            steps += 1
    return energy, log_variance, steps
