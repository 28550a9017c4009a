"""The second cut: the pooled items that the linear fusion puts first become the candidates."""

import numpy as np
from numpy.typing import NDArray

from millrace.streams.compiled import compiled, compiled_sums
from millrace.streams.ranking.marks_kernel import KEPT, POOLED
from millrace.streams.ranking.selection_kernel import LOWER_HALF, falling, largest, ordered

# These stay candidates whatever their linear score: the fusion does not know the network's reasons, nor new items.
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
        candidates: [C] out, 0 beyond the pool's size.
        features: [C, F] out, likewise.
        linear: [C] out: linear scores, -inf beyond the pool's size.
    """
    size = len(pool)
    scores = np.empty(size, np.float32)
    bits = scores.view(np.uint32)
    keys = np.empty(size, np.uint64)
    _keep(forced, marks)
    _keep(newest[:_KEPT_NEWEST], marks)
    _keep(unseen[:_KEPT_UNSEEN], marks)
    _score(pool_features, weights, scores)
    for place in range(size):
        first = np.uint64(0x80000000) if marks[pool[place]] == KEPT else np.uint64(0)
        keys[place] = ((ordered(bits[place]) >> np.uint64(1) | first) << np.uint64(32)) | np.uint64(size - place)
    taken = min(size, len(candidates))
    candidates[taken:], features[taken:], linear[taken:] = 0, 0.0, -np.inf
    largest(keys, size, taken)
    for rank in range(taken):
        place = int(np.int64(size) - np.int64(keys[rank] & LOWER_HALF))
        keys[rank] = (ordered(bits[place]) << np.uint64(32)) | np.uint64(size - place)
    order = falling(keys[:taken])
    for rank in range(taken):
        place = int(np.int64(size) - np.int64(order[rank] & LOWER_HALF))
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


@compiled_sums
def _score(features: NDArray[np.float32], weights: NDArray[np.float32], scores: NDArray[np.float32]) -> None:
    """Write the products [P] of the features [>= P, F] with the weights [F]."""
    for place in range(len(scores)):
        row, score = features[place], np.float32(0.0)
        for feature in range(len(weights)):
            score += weights[feature] * row[feature]
        scores[place] = score
