"""Kernels of the list rules: diversity, and which history entry speaks for an item."""

import numpy as np
from numpy.typing import NDArray

from streams.compiled import compiled
from streams.statistics.row_kernels import WIDE

_CAUSE_LAGS, _CAUSE_DECAY = 20, 0.9
_BACK_OFF = 10.0


@compiled
def diversify(
    scores: NDArray[np.float32], vectors: NDArray[np.float32], diversity: float, length: int
) -> NDArray[np.int64]:
    """Return the places of `length` items chosen by maximal marginal relevance; ties go to the earlier place.

    Each step takes the item with the largest score - diversity * (largest cosine to an item taken before): J. Carbonell
    and J. Goldstein, "The use of MMR", SIGIR 1998, with the trade-off in units of the score.

    Args:
        scores: [K] float32, best first; -inf where there is no item.
        vectors: [K, d] float32 of length 1 or 0.
        diversity: Loss of score for an item equal to one taken before.
        length: Items wanted.
    """
    chosen = np.empty(min(length, len(scores)), np.int64)
    nearest = np.zeros(len(scores))
    taken = np.zeros(len(scores), np.bool_)
    for place in range(len(chosen)):
        best, best_value = -1, -np.inf
        for candidate in range(len(scores)):
            value = scores[candidate] - diversity * nearest[candidate]
            if not taken[candidate] and value > best_value:
                best, best_value = candidate, value
        if best < 0:
            return chosen[:place]
        chosen[place] = best
        taken[best] = True
        for candidate in range(len(scores)):
            cosine = 0.0
            for part in range(vectors.shape[1]):
                cosine += vectors[candidate, part] * vectors[best, part]
            nearest[candidate] = max(nearest[candidate], cosine)
    return chosen


@compiled
def causes(
    items: NDArray[np.int32],
    history: NDArray[np.int32],
    ids: NDArray[np.int32],
    values: NDArray[np.float32],
    lengths: NDArray[np.int32],
    sums: NDArray[np.float64],
    shares: NDArray[np.float32],
    marks: NDArray[np.uint8],
) -> NDArray[np.int64]:
    """Return for each item the place in the history that speaks most for it, -1 where popularity says more.

    Args:
        items: [K <= 255] items of a list, in the range of the arrays below.
        history: [H] items, newest first.
        ids: [N, K], `values` [N, K, S], `lengths` [N], `sums` [N, S]: the rows of the statistics.
        values: See ids.
        lengths: See ids.
        sums: See ids.
        shares: [N] recent share of each item.
        marks: [N] scratch, all zero before and after.
    """
    for place in range(len(items)):
        marks[items[place]] = place + 1
    out = np.full(len(items), -1, np.int64)
    strongest = np.zeros(len(items))
    for lag in range(min(len(history), _CAUSE_LAGS)):
        row = history[lag]
        weight = _CAUSE_DECAY**lag / (sums[row, WIDE] + _BACK_OFF)
        for slot in range(lengths[row]):
            neighbour = ids[row, slot]
            place = int(marks[neighbour]) - 1
            if place >= 0:
                excess = weight * (values[row, slot, WIDE] - sums[row, WIDE] * shares[neighbour])
                if excess > strongest[place]:
                    strongest[place] = excess
                    out[place] = lag
    for item in items:
        marks[item] = 0
    return out
