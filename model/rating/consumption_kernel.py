"""Products with a sparse user-item matrix."""

import numpy as np
from numpy.typing import NDArray

from millrace.streams.compiled import compiled


@compiled
def spread_to_users(
    users: NDArray[np.int64],
    items: NDArray[np.int64],
    weights: NDArray[np.float64],
    vectors: NDArray[np.float64],
    count: int,
) -> NDArray[np.float64]:
    """Return [count, K] the weighted sums of the items' vectors [rows, K] by user.

    Args:
        users: [N].
        items: [N].
        weights: [N] entry of the matrix.
        vectors: [rows, K] float64.
        count: Users.
    """
    out = np.zeros((count, vectors.shape[1]))
    for row in range(len(users)):
        for column in range(vectors.shape[1]):
            out[users[row], column] += weights[row] * vectors[items[row], column]
    return out


@compiled
def spread_to_items(
    users: NDArray[np.int64],
    items: NDArray[np.int64],
    weights: NDArray[np.float64],
    vectors: NDArray[np.float64],
    rows: int,
) -> NDArray[np.float64]:
    """Return [rows, K] the weighted sums of the users' vectors [count, K] by item.

    Args:
        users: [N].
        items: [N].
        weights: [N] entry of the matrix.
        vectors: [count, K] float64.
        rows: Of the item tables.
    """
    out = np.zeros((rows, vectors.shape[1]))
    for row in range(len(users)):
        for column in range(vectors.shape[1]):
            out[items[row], column] += weights[row] * vectors[users[row], column]
    return out
