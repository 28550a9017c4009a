"""The second cut: the pooled items that the linear fusion puts first become the candidates."""

import numpy as np
from numpy.typing import NDArray

from streams.compiled import compiled
from streams.ranking.marks_kernel import KEPT, POOLED
from streams.ranking.selection_kernel import falling, largest, ordered

# These stay candidates whatever the linear fusion thinks of them: it cannot know the network's reasons, nor new items.
_KEPT_NEWEST = 4
_KEPT_UNSEEN = 8


@compiled
def linear_cut(
    pool: NDArray[np.int32],
    pool_features: NDArray[np.float32],
    weights: NDArray[np.float32],
    forced: NDArray[np.int32],
    newest: NDArray[np.int32],
    unseen: NDArray[np.int32],
    marks: NDArray[np.uint8],
    candidates: NDArray[np.int32],
    features: NDArray[np.float32],
    linear: NDArray[np.float32],
) -> None:
    """Write the C best of the pool by the linear fusion, best first; ties keep the order of the pool.

    Args:
        pool: [P] items, all marked POOLED.
        pool_features: [>= P, F].
        weights: [F].
        forced: Items that stay, if they are in the pool, whatever their score.
        newest: Items of which the first few stay likewise.
        unseen: Items of which the first few stay likewise.
        marks: [N]; the items that stay are KEPT on return.
        candidates: [C] out, untouched beyond the pool's size.
        features: [C, F] out, likewise.
        linear: [C] out: linear scores, -inf beyond the pool's size.
    """
    size = len(pool)
    scores = np.empty(size, np.float32)
    bits = scores.view(np.uint32)
    keys = np.empty(size, np.uint64)
    doubles = weights.astype(np.float64)
    _keep(forced, marks)
    _keep(newest[:_KEPT_NEWEST], marks)
    _keep(unseen[:_KEPT_UNSEEN], marks)
    for place in range(size):
        scores[place] = _dot(doubles, pool_features[place])
        first = np.uint64(0x80000000) if marks[pool[place]] == KEPT else np.uint64(0)
        keys[place] = ((ordered(bits[place]) >> np.uint64(1) | first) << np.uint64(32)) | np.uint64(size - place)
    taken = min(size, len(candidates))
    linear[taken:] = -np.inf
    largest(keys, size, taken)
    for rank in range(taken):
        place = int(np.int64(size) - np.int64(keys[rank] & np.uint64(0xFFFFFFFF)))
        keys[rank] = (ordered(bits[place]) << np.uint64(32)) | np.uint64(size - place)
    order = falling(keys[:taken])
    for rank in range(taken):
        place = int(np.int64(size) - np.int64(order[rank] & np.uint64(0xFFFFFFFF)))
        candidates[rank] = pool[place]
        linear[rank] = scores[place]
        for feature in range(len(weights)):
            features[rank, feature] = pool_features[place, feature]


@compiled
def _keep(items: NDArray[np.int32], marks: NDArray[np.uint8]) -> None:
    """Mark those of the items that are in the pool as KEPT."""
    for item in items:
        if 0 < item < len(marks) and marks[item] == POOLED:
            marks[item] = KEPT


@compiled
def _dot(weights: NDArray[np.float64], row: NDArray[np.float32]) -> float:
    """Return the sum of products, in four parts: each addition would have to wait for the one before."""
    first, second, third, fourth = 0.0, 0.0, 0.0, 0.0
    whole = len(weights) // 4 * 4
    for place in range(0, whole, 4):
        first += weights[place] * row[place]
        second += weights[place + 1] * row[place + 1]
        third += weights[place + 2] * row[place + 2]
        fourth += weights[place + 3] * row[place + 3]
    for place in range(whole, len(weights)):
        first += weights[place] * row[place]
    return float((first + second) + (third + fourth))
