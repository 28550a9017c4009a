"""From the pool's first items and lists of others to the pool, and from the pool to the candidates."""

import numpy as np
from numpy.typing import NDArray

from streams.compiled import compiled
from streams.ranking.marks_kernel import FREE, KEPT, POOLED
from streams.ranking.selection_kernel import largest, ordered


@compiled
def pool_from_lists(
    lists: tuple[NDArray[np.int32], ...],
    wanted: tuple[int, ...],
    least: int,
    available: NDArray[np.bool_],
    marks: NDArray[np.uint8],
    pool: NDArray[np.int32],
    size: int,
) -> int:
    """Add the first items of each list that may be recommended; those pooled already count.

    Args:
        lists: Items; indexes out of range are passed over.
        wanted: Most items to take of each list.
        least: Size that the pool should have at least: what is missing comes from the last list.
        available: [N].
        marks: [N] items put into the pool become POOLED.
        pool: [P] the pool so far and out.
        size: Items in the pool so far.

    Returns:
        The new size of the pool.
    """
    for place in range(len(lists)):
        size = _pool_from_list(lists[place], wanted[place], available, marks, pool, size)
    if size < least:
        size = _pool_from_list(lists[len(lists) - 1], least, available, marks, pool, size)
    return size


@compiled
def _pool_from_list(
    items: NDArray[np.int32],
    wanted: int,
    available: NDArray[np.bool_],
    marks: NDArray[np.uint8],
    pool: NDArray[np.int32],
    size: int,
) -> int:
    for item in items:
        if wanted == 0 or size == len(pool):
            break
        if item <= 0 or item >= len(marks):
            continue
        mark = marks[item]
        if mark == POOLED:
            wanted -= 1
        elif mark == FREE and available[item]:
            marks[item] = POOLED
            pool[size] = item
            size += 1
            wanted -= 1
    return size


@compiled
def linear_cut(
    pool: NDArray[np.int32],
    size: int,
    pool_features: NDArray[np.float32],
    weights: NDArray[np.float32],
    kept: tuple[NDArray[np.int32], ...],
    marks: NDArray[np.uint8],
    candidates: NDArray[np.int32],
    features: NDArray[np.float32],
    linear: NDArray[np.float32],
) -> None:
    """Write the C best of the pool by the linear fusion, best first; ties keep the order of the pool.

    Args:
        pool: [P] items, all marked POOLED; the first `size` count.
        size: See pool.
        pool_features: [P, F].
        weights: [F].
        kept: Lists of items that stay, if they are in the pool, whatever their score; marked KEPT on return.
        marks: [N].
        candidates: [C] out, untouched beyond the pool's size.
        features: [C, F] out.
        linear: [C] out.
    """
    scores = np.empty(size, np.float32)
    bits = scores.view(np.uint32)
    keys = np.empty(size, np.uint64)
    doubles = weights.astype(np.float64)
    for items in kept:
        for item in items:
            if 0 < item < len(marks) and marks[item] == POOLED:
                marks[item] = KEPT
    for place in range(size):
        scores[place] = _dot(doubles, pool_features[place])
        first = np.uint64(0x80000000) if marks[pool[place]] == KEPT else np.uint64(0)
        keys[place] = ((ordered(bits[place]) >> np.uint64(1) | first) << np.uint64(32)) | np.uint64(size - place)
    taken = min(size, len(candidates))
    largest(keys, size, taken)
    for rank in range(taken):
        place = int(np.int64(size) - np.int64(keys[rank] & np.uint64(0xFFFFFFFF)))
        keys[rank] = (ordered(bits[place]) << np.uint64(32)) | np.uint64(size - place)
    order = np.sort(keys[:taken])[::-1]
    for rank in range(taken):
        place = int(np.int64(size) - np.int64(order[rank] & np.uint64(0xFFFFFFFF)))
        candidates[rank] = pool[place]
        linear[rank] = scores[place]
        for feature in range(len(weights)):
            features[rank, feature] = pool_features[place, feature]


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
