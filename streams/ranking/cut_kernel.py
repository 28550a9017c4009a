"""The first cut: scores the thousands of items that the links of a history lead to and keeps the best.

The score is linear in the links, so one sum per item replaces all of its evidence.
"""

import numpy as np
from numpy.typing import NDArray

from millrace.streams.compiled import compiled
from millrace.streams.ranking.arrays import HistoryWeights, ItemArrays, LinkRows
from millrace.streams.ranking.history_kernel import (
    FOLLOWED_LONG,
    FOLLOWED_SESSION,
    FOLLOWED_SHORT,
    FOLLOWED_TIMED,
    FOLLOWED_WIDE,
    TOGETHER,
    TRANSITIONS,
)
from millrace.streams.ranking.marks_kernel import FREE, POOLED
from millrace.streams.ranking.selection_kernel import LOWER_HALF, largest_by_bits
from millrace.streams.statistics.row_kernels import COVISITED, SHORT, STATISTICS, TIMED, WIDE

# How much each kernel counts in the first cut: the transitions as chances, the co-visitation scaled to them.
CUT_WEIGHTS = (0.5, 0.5, 0.5, 1.0, 2.0, 0.02)


@compiled
def pool_by_links(
    history: NDArray[np.int32],
    rows: LinkRows,
    weighed: HistoryWeights,
    items: ItemArrays,
    marks: NDArray[np.uint8],
    scores: NDArray[np.float32],
    wanted: int,
    pool: NDArray[np.int32],
) -> int:
    """Put the `wanted` available items with the most evidence into the pool; ties go to the lower index.

    Args:
        history: [H] items, newest first; only the weighed ones count.
        rows: Links.
        weighed: Weights of the history's entries.
        items: Shares, norms, and what is available.
        marks: [N] items not FREE are left out, items put into the pool become POOLED.
        scores: [N] scratch, all zero before and after.
        wanted: Most items to add.
        pool: [>= wanted] out.

    Returns:
        Number of items added.
    """
    weights = np.empty((len(weighed.factors), STATISTICS), np.float32)
    shared = _weigh_links(weighed, weights)
    # Room for every link: an item whose links so far add nothing is found again.
    found = np.empty(len(weights) * rows.ids.shape[1] + 1, np.int32)
    number = _score_links(history, rows, weights, items.covisit_norms, scores, found)
    keys = np.empty(number, np.uint64)
    size = _score_items(found[:number], shared, items.shares, items.available, marks, scores, keys)
    taken = min(size, wanted)
    largest_by_bits(keys, size, taken)
    for place in range(taken):
        item = np.int32(LOWER_HALF - (keys[place] & LOWER_HALF))
        pool[place] = item
        marks[item] = POOLED
    return taken


@compiled
def _weigh_links(weighed: HistoryWeights, weights: NDArray[np.float32]) -> np.float32:
    """Write the weights [lags, STATISTICS] of the links in the score; return the weight of an item's share."""
    parts, shared = np.zeros(TRANSITIONS + 1), 0.0
    for kernel in range(TRANSITIONS + 1):
        if weighed.totals[kernel] > 0.0:
            parts[kernel] = CUT_WEIGHTS[kernel] / weighed.totals[kernel]
            if kernel < TRANSITIONS:
                shared += parts[kernel] * weighed.back_off[kernel]
    for lag in range(len(weights)):
        own = weighed.factors[lag]
        recent = parts[FOLLOWED_SHORT] * own[FOLLOWED_SHORT] + parts[FOLLOWED_SESSION] * own[FOLLOWED_SESSION]
        weights[lag, SHORT] = recent + parts[FOLLOWED_LONG] * own[FOLLOWED_LONG]
        weights[lag, WIDE] = parts[FOLLOWED_WIDE] * own[FOLLOWED_WIDE]
        weights[lag, TIMED] = parts[FOLLOWED_TIMED] * own[FOLLOWED_TIMED]
        weights[lag, COVISITED] = parts[TOGETHER] * own[TOGETHER]
    return np.float32(shared)


@compiled
def _score_links(
    history: NDArray[np.int32],
    rows: LinkRows,
    weights: NDArray[np.float32],
    norms: NDArray[np.float32],
    scores: NDArray[np.float32],
    found: NDArray[np.int32],
) -> int:
    """Add every link, weighed, to the score of its item; return how many items were `found`, some perhaps twice."""
    ids, links, lengths, number = rows.ids, rows.links, rows.lengths, 0
    for lag in range(len(weights)):
        row = np.uint32(history[lag])
        number = _add_row(ids, links, row, lengths[row], weights, lag, norms, scores, found, number)
    return number


@compiled
def _add_row(
    ids: NDArray[np.int32],
    links: NDArray[np.float32],
    row: np.uint32,
    size: int,
    weights: NDArray[np.float32],
    lag: int,
    norms: NDArray[np.float32],
    scores: NDArray[np.float32],
    found: NDArray[np.int32],
    number: int,
) -> int:
    """Add the first `size` links of a row by the weights of a lag to the scores of their items.

    One loop without branches: branches would be unpredictable, and links are scattered in memory.
    """
    short, wide = weights[lag, SHORT], weights[lag, WIDE]
    timed, covisited = weights[lag, TIMED], weights[lag, COVISITED]
    for slot in range(size):
        item = np.uint32(ids[row, slot])
        before = scores[item]
        following = short * links[row, slot, SHORT] + wide * links[row, slot, WIDE] + timed * links[row, slot, TIMED]
        scores[item] = before + (following + covisited * links[row, slot, COVISITED] * norms[item])
        found[number] = item
        number += before == np.float32(0.0)
    return number


@compiled
def _score_items(
    found: NDArray[np.int32],
    shared: np.float32,
    shares: NDArray[np.float32],
    available: NDArray[np.bool_],
    marks: NDArray[np.uint8],
    scores: NDArray[np.float32],
    keys: NDArray[np.uint64],
) -> int:
    """Write keys that sort the found items that are free by score, then by index; set all their scores to zero.

    Returns:
        How many keys were written.
    """
    totals, size = np.empty(len(found), np.float32), 0
    bits = totals.view(np.uint32)
    for place in range(len(found)):
        item = np.uint32(found[place])
        own = scores[item]
        # An item found twice has no score the second time.
        scores[item] = 0.0
        totals[size] = shared * shares[item] + own
        found[size] = item
        size += (marks[item] == FREE) & available[item] & (own > np.float32(0.0))
    for place in range(size):
        keys[place] = (np.uint64(bits[place]) << np.uint64(32)) | (LOWER_HALF - np.uint64(found[place]))
    return size
