"""Ridge regressions with biases, for one user and for all; compiled, since a fit solves thousands of small ones."""

import numpy as np
from numpy.typing import NDArray

from millrace.streams.compiled import compiled

Doubles = NDArray[np.float64]
Ints = NDArray[np.int32]


@compiled
def solve_one(others: Doubles, numbers: Ints, centred: Doubles, penalty: float) -> Doubles:
    """Return the x that minimises sum_r (centred_r - b_r - x . (v_r, 1))^2 + penalty |x|^2, by Cholesky.

    Args:
        others: [M, K + 1] float64 vectors v of the other side, with its biases b in the last column.
        numbers: [R] int32 row of `others` for each rating.
        centred: [R] float64 ratings minus the mean rating.
        penalty: L2 penalty, above 0.

    Returns:
        [K + 1] float64 vector, with the bias as the last entry.
    """
    size = others.shape[1]
    gram = np.zeros((size, size))
    x = np.zeros(size)
    feature = np.ones(size)
    for rating in range(len(numbers)):
        other = others[numbers[rating]]
        feature[: size - 1] = other[: size - 1]
        target = centred[rating] - other[size - 1]
        for i in range(size):
            x[i] += feature[i] * target
            for j in range(i + 1):
                gram[i, j] += feature[i] * feature[j]
    for i in range(size):
        gram[i, i] += penalty
        for j in range(i + 1):
            total = gram[i, j]
            for k in range(j):
                total -= gram[i, k] * gram[j, k]
            gram[i, j] = np.sqrt(total) if i == j else total / gram[j, j]
    for i in range(size):
        for k in range(i):
            x[i] -= gram[i, k] * x[k]
        x[i] /= gram[i, i]
    for i in range(size - 1, -1, -1):
        for k in range(i + 1, size):
            x[i] -= gram[k, i] * x[k]
        x[i] /= gram[i, i]
    return x


@compiled
def solve_side(
    side: Doubles, order: NDArray[np.int64], own: Ints, others: Doubles, numbers: Ints, centred: Doubles, penalty: float
) -> None:
    """Solve for all rows of one side that have ratings, in place.

    Args:
        side: [N, K + 1] float64 vectors, with the biases in the last column; modified.
        order: [R] int64 numbers of the ratings, sorted by `own`.
        own: [R] int32 row of `side` for each rating.
        others: [M, K + 1] float64 vectors and biases of the other side.
        numbers: [R] int32 row of `others` for each rating.
        centred: [R] float64 ratings minus the mean rating.
        penalty: L2 penalty, above 0.
    """
    first = 0
    while first < len(order):
        row = own[order[first]]
        last = first
        while last < len(order) and own[order[last]] == row:
            last += 1
        ratings = order[first:last]
        side[row] = solve_one(others, numbers[ratings], centred[ratings], penalty)
        first = last
