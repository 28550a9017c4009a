"""Item vectors from who rated what, whatever the rating."""

import numpy as np
from numpy.typing import NDArray

from model.dataset.events import EventTable
from model.rating.consumption_kernel import spread_to_items, spread_to_users

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
    size = min(width + 1 + _SPARE, len(user_counts), rows)
    basis = np.random.default_rng(seed).normal(size=(rows, size))
    for _ in range(_ROUNDS):
        mixed, _ = np.linalg.qr(spread_to_users(users, items, weights, basis, len(user_counts)))
        basis, _ = np.linalg.qr(spread_to_items(users, items, weights, mixed, rows))
    small = spread_to_users(users, items, weights, basis, len(user_counts))
    _, singular, right = np.linalg.svd(small, full_matrices=False)
    kept = singular[1 : width + 1]
    vectors = (basis @ right[1 : width + 1].T) * np.sqrt(np.maximum(kept, _LEAST_SINGULAR))
    out = np.zeros((rows, width), np.float32)
    out[:, : vectors.shape[1]] = np.where(counts[:, None] > 0, vectors, 0.0)
    root = np.sqrt(np.mean(np.square(out[counts > 0])))
    out /= max(float(root), _LEAST_SINGULAR)
    return out
