"""Kernels of the list rules: diversity, and which history entry speaks for an item."""

import numpy as np
from numpy.typing import NDArray

from millrace.streams.compiled import compiled
from millrace.streams.statistics.row_kernels import COVISITED, SHORT, TIMED, fading

_CAUSE_LAGS = 20
# The kernels of the features that move scores most: short and timed transitions, co-visitation; as in
# `evidence_kernel`. What each is worth was fitted to the drops of the whole linear fusion when an entry is taken out of
# the history, on lists of the first 30 % of ml-latest-small.
_CAUSE_KERNELS = 3
_CAUSE_WEIGHTS = (0.8, 1.1, 1.0)
_SHORT_DECAY, _TIMED_DECAY, _COVISIT_DECAY = 0.8, 0.93, 0.98
_BACK_OFF, _COVISIT_PRIOR = 10.0, 5.0


@compiled
def allowed_places(
    items: NDArray[np.int32],
    scores: NDArray[np.float32],
    touched: NDArray[np.int32],
    available: NDArray[np.bool_],
    marks: NDArray[np.uint8],
) -> NDArray[np.int64]:
    """Return the places of a ranking that may be shown: known and available items with a score, none touched.

    Args:
        items: [K] ranking; whatever it says, nothing out of range is shown.
        scores: [K].
        touched: [T] items the user has touched.
        available: [N].
        marks: [N] scratch, all zero before and after.
    """
    for item in touched:
        if item < len(marks):
            marks[item] = 1
    out, number = np.empty(len(items), np.int64), 0
    for place in range(len(items)):
        item = items[place]
        if 0 < item < len(marks) and available[item] and marks[item] == 0 and np.isfinite(scores[place]):
            out[number] = place
            number += 1
    for item in touched:
        if item < len(marks):
            marks[item] = 0
    return out[:number]


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
    clock: int,
    ids: NDArray[np.int32],
    values: NDArray[np.float32],
    lengths: NDArray[np.int32],
    sums: NDArray[np.float64],
    landmarks: NDArray[np.float64],
    counts: NDArray[np.int64],
    shares: NDArray[np.float32],
    marks: NDArray[np.uint8],
) -> NDArray[np.int64]:
    """Return for each item the place in the history whose removal lowers its score most, -1 where popularity says more.

    An entry counts if the item follows it more often than its popularity explains. The drop is taken to first order:
    the part that the entry has in the item's evidence, less the part that it has in the weights, summed over short
    transitions, timed transitions and co-visitation.

    Args:
        items: [K <= 255] items of a list, in the range of the arrays below.
        history: [H] items, newest first.
        clock: The statistics' clock.
        ids: [N, K] int32 neighbours of each row of the statistics.
        values: [N, K, STATISTICS] float32 numbers of each neighbour.
        lengths: [N] int32 neighbours in use.
        sums: [N, STATISTICS] float64 totals.
        landmarks: [N] float64 clock to which timed transitions are scaled.
        counts: [N] all-time counts.
        shares: [N] recent share of each item.
        marks: [N] scratch, all zero before and after.
    """
    lags = min(len(history), _CAUSE_LAGS)
    parts = np.zeros((_CAUSE_KERNELS, lags, len(items)))
    linked = np.zeros((lags, len(items)), np.bool_)
    weights = np.zeros((_CAUSE_KERNELS, lags))
    for place in range(len(items)):
        marks[items[place]] = place + 1
    for lag in range(lags):
        row = history[lag]
        fade = fading(landmarks[row], clock)
        weights[0, lag], weights[1, lag], weights[2, lag] = _SHORT_DECAY**lag, _TIMED_DECAY**lag, _COVISIT_DECAY**lag
        short = weights[0, lag] / (sums[row, SHORT] + _BACK_OFF)
        timed = weights[1, lag] / (sums[row, TIMED] * fade + _BACK_OFF)
        together = weights[2, lag] / np.sqrt(counts[row] + _COVISIT_PRIOR)
        for place in range(len(items)):
            parts[0, lag, place] = short * _BACK_OFF * shares[items[place]]
            parts[1, lag, place] = timed * _BACK_OFF * shares[items[place]]
        for slot in range(lengths[row]):
            place = int(marks[ids[row, slot]]) - 1
            if place >= 0:
                linked[lag, place] = True
                parts[0, lag, place] += short * values[row, slot, SHORT]
                parts[1, lag, place] += timed * fade * values[row, slot, TIMED]
                parts[2, lag, place] += together * values[row, slot, COVISITED]
    for place in range(len(items)):
        marks[items[place]] = 0
        for lag in range(lags):
            popular = (weights[0, lag] + weights[1, lag]) * shares[items[place]]
            linked[lag, place] &= parts[0, lag, place] + parts[1, lag, place] > popular
    return _largest_drops(parts, weights, linked)


@compiled
def _largest_drops(
    parts: NDArray[np.float64], weights: NDArray[np.float64], linked: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return for each item the linked lag of the largest drop, -1 for none; ties go to the later event."""
    _, lags, items = parts.shape
    out = np.full(items, -1, np.int64)
    weight_totals = np.zeros(_CAUSE_KERNELS)
    for kernel in range(_CAUSE_KERNELS):
        weight_totals[kernel] = weights[kernel].sum()
    for place in range(items):
        totals = np.zeros(_CAUSE_KERNELS)
        for kernel in range(_CAUSE_KERNELS):
            for lag in range(lags):
                totals[kernel] += parts[kernel, lag, place]
        largest = -np.inf
        for lag in range(lags):
            if not linked[lag, place]:
                continue
            drop = 0.0
            for kernel in range(_CAUSE_KERNELS):
                if totals[kernel] > 0.0:
                    own = parts[kernel, lag, place] / totals[kernel] - weights[kernel, lag] / weight_totals[kernel]
                    drop += _CAUSE_WEIGHTS[kernel] * own
            if drop > largest:
                largest = drop
                out[place] = lag
    return out
