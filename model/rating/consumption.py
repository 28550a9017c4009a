"""Item vectors from who rated what, whatever the rating."""

import numpy as np
from numpy.typing import NDArray

from millrace.model.dataset.event_table import EventTable
from millrace.model.rating.consumption_kernel import spread_to_items, spread_to_users

# Items with few users would otherwise have the longest vectors.
_ITEM_PRIOR = 5.0
_ROUNDS = 4
_SPARE = 8
_LEAST_SINGULAR = 1e-6


def consumption_vectors(events: EventTable, rows: int, width: int, seed: int) -> NDArray[np.float32]:
    """Return [rows, width] float32 vectors, alike for items with the same users; zero for items without users.

    The leading singular vectors of the normalised user-item matrix, times the roots of their singular values, by
    subspace iteration (Halko, Martinsson and Tropp, 2011); the first one, which is popularity, is left out.

    Args:
        events: The log.
        rows: Rows of the item tables.
        width: Of the vectors; columns beyond the rank of the matrix are zero.
        seed: Of the random start.
    """
    users, items = events.users.astype(np.int64), events.items.astype(np.int64)
    user_counts, counts = np.bincount(users), np.bincount(items, minlength=rows)
    weights = 1.0 / np.sqrt(user_counts[users] * (counts[items] + _ITEM_PRIOR))
    _, right, singular = leading_vectors(users, items, weights, len(user_counts), rows, width + 1, seed)
    vectors = right[:, 1:] * np.sqrt(np.maximum(singular[1:], _LEAST_SINGULAR))
    out = np.zeros((rows, width), np.float32)
    out[:, : vectors.shape[1]] = np.where(counts[:, None] > 0, vectors, 0.0)
    root = np.sqrt(np.mean(np.square(out[counts > 0])))
    out /= max(float(root), _LEAST_SINGULAR)
    return out


def leading_vectors(
    users: NDArray[np.int64],
    items: NDArray[np.int64],
    weights: NDArray[np.float64],
    count: int,
    rows: int,
    width: int,
    seed: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the leading left singular vectors times singular values [count, K], right ones [rows, K], values [K].

    Args:
        users: [N] row of each entry of the sparse matrix.
        items: [N] its column.
        weights: [N] its value.
        count: Rows of the matrix.
        rows: Columns of the matrix.
        width: K at most.
        seed: Of the random start.
    """
    size = min(width + _SPARE, count, rows)
    basis = np.random.default_rng(seed).normal(size=(rows, size))
    for _ in range(_ROUNDS):
        mixed, _ = np.linalg.qr(spread_to_users(users, items, weights, basis, count))
        basis, _ = np.linalg.qr(spread_to_items(users, items, weights, mixed, rows))
    left, singular, turned = np.linalg.svd(spread_to_users(users, items, weights, basis, count), full_matrices=False)
    kept = slice(None, width)
    return left[:, kept] * singular[kept], basis @ turned[kept].T, singular[kept]
