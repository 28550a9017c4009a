"""Sums over each user's (or item's) ratings that a factorisation needs."""

import numpy as np
from numpy.typing import NDArray

from millrace.streams.compiled import compiled


@compiled
def normal_equations(
    starts: NDArray[np.int64],
    others: NDArray[np.int64],
    rests: NDArray[np.float64],
    design: NDArray[np.float64],
    second: NDArray[np.float64],
    gram: NDArray[np.float64],
    right: NDArray[np.float64],
) -> None:
    """Add up, for every group, the second moments of its designs and the designs times what they have to explain.

    Args:
        starts: [G + 1] first rating of each group.
        others: [N] the other side's number of each rating.
        rests: [N] what this side has to explain of each rating.
        design: [O, D] expected design of each number of the other side.
        second: [O, D, D] what its covariance adds to the product of the design with itself; [0, D, D] for nothing.
        gram: [G, D, D] written.
        right: [G, D] written.
    """
    size = design.shape[1]
    for group in range(len(starts) - 1):
        own, own_right = gram[group], right[group]
        own[:] = 0.0
        own_right[:] = 0.0
        for row in range(starts[group], starts[group + 1]):
            other = others[row]
            for a in range(size):
                own_right[a] += design[other, a] * rests[row]
                for b in range(a + 1):
                    own[a, b] += design[other, a] * design[other, b]
            if len(second):
                for a in range(size):
                    for b in range(a + 1):
                        own[a, b] += second[other, a, b]
        for a in range(size):
            for b in range(a):
                own[b, a] = own[a, b]
