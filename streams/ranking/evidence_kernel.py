"""Summing the links of a user's history into evidence for every item of the pool."""

import numpy as np
from numpy.typing import NDArray

from millrace.streams.compiled import compiled
from millrace.streams.ranking.arrays import HistoryWeights, LinkRows
from millrace.streams.ranking.history_kernel import (
    BACK_OFF,
    FADE,
    FOLLOWED_LONG,
    FOLLOWED_SESSION,
    FOLLOWED_SHORT,
    FOLLOWED_TIMED,
    FOLLOWED_WIDE,
    LINK_KERNELS,
    SESSION_LIFT,
    TIMED_LIFT,
    TOGETHER,
    TOGETHER_DISLIKED,
    TOGETHER_LIKED,
)
from millrace.streams.statistics.row_kernels import COVISITED, SHORT, TIMED, WIDE

# Columns of the evidence: the kernels over links, two sums of log lifts, the strongest link.
SESSION_LIFTS, TIMED_LIFTS, STRONGEST = range(LINK_KERNELS, LINK_KERNELS + 3)
# Columns in memory: a row of 16 float32 fills one cache line.
EVIDENCE = 16

_LIFT_LAGS = 20
_LN_2 = 0.6931471805599453
_BITS_OF_ONE = np.int32(0x3F800000)


@compiled
def gather_evidence(
    pool: NDArray[np.int32],
    history: NDArray[np.int32],
    rows: LinkRows,
    weighed: HistoryWeights,
    shares: NDArray[np.float32],
    places: NDArray[np.int16],
) -> NDArray[np.float32]:
    """Sum the links of the history to every item of the pool, once for each kernel.

    There are arithmetic means over the history (see `weigh_history`) and two geometric ones, sum_d w_d log(1 +
    A[j_d, i] / (m p_i)): many weak links can say more than one strong one.

    Args:
        pool: [P] items.
        history: [H] items, newest first; only the weighed ones count.
        rows: Links.
        weighed: Weights of the history's entries.
        shares: [N] recent shares, the p_i.
        places: [N] scratch, all zero before and after.

    Returns:
        [P, EVIDENCE].
    """
    neighbours = rows.ids.shape[1]
    slots, targets = np.empty(neighbours, np.int32), np.empty(neighbours, np.int32)
    session_lifts, timed_lifts = np.empty(neighbours, np.float32), np.empty(neighbours, np.float32)
    scales, evidence = np.empty(len(pool), np.float32), np.zeros((len(pool), EVIDENCE), np.float32)
    for place in range(len(pool)):
        item = pool[place]
        places[item] = place + 1
        scales[place] = np.float32(1.0 / BACK_OFF) / shares[item]
    ids, links, lengths, factors, worths = rows.ids, rows.links, rows.lengths, weighed.factors, weighed.worths
    # Rows are passed by number: a view of one row costs as much as ten of its links.
    for lag in range(len(factors)):
        row = np.uint32(history[lag])
        number = _find_links(ids, row, lengths[row], places, slots, targets)
        if lag < _LIFT_LAGS:
            session, timed, fade = worths[lag, SESSION_LIFT], worths[lag, TIMED_LIFT], worths[lag, FADE]
            _lift(links, row, SHORT, slots, number, targets, 1.0, scales, session, session_lifts)
            _lift(links, row, TIMED, slots, number, targets, fade, scales, timed, timed_lifts)
            _add_lifts(targets, number, session_lifts, timed_lifts, evidence)
        _add_links(links, row, slots, number, targets, factors, lag, evidence)
    for place in range(len(pool)):
        places[pool[place]] = 0
    return evidence


@compiled
def _find_links(
    ids: NDArray[np.int32],
    row: np.uint32,
    size: int,
    places: NDArray[np.int16],
    slots: NDArray[np.int32],
    targets: NDArray[np.int32],
) -> int:
    """Find the links of a row to pooled items; without branches, which would be unpredictable.

    Args:
        ids: [N, K] int32 neighbours.
        row: Row to look through.
        size: Neighbours in use in this row.
        places: [N] int16 1 + place in the pool, 0 outside of it.
        slots: [K] int32 out: slots of the links.
        targets: [K] int32 out: places in the pool.

    Returns:
        Number of links found.
    """
    number = 0
    for slot in range(size):
        place = places[np.uint32(ids[row, slot])]
        slots[number], targets[number] = slot, place - 1
        number += place > 0
    return number


@compiled
def _lift(
    links: NDArray[np.float32],
    row: np.uint32,
    statistic: int,
    slots: NDArray[np.int32],
    number: int,
    targets: NDArray[np.int32],
    worth: float,
    scales: NDArray[np.float32],
    weight: float,
    lifts: NDArray[np.float32],
) -> None:
    """Write weight log(1 + link / (m p_i)), the logarithm to about 1e-4; 0 without a link.

    Args:
        links: [N, K, STATISTICS] float32.
        row: Row of the links.
        statistic: Slot of the statistic, such as SHORT.
        slots: [K] int32 slots of the links to pooled items.
        number: Links in use in `slots` and `targets`.
        targets: [K] int32 places of these links in the pool.
        worth: Factor of the links.
        scales: [P] float32 1 / (m p_i) of the pool.
        weight: Factor of the logarithm.
        lifts: [K] float32 out, contiguous.
    """
    unit, factor = np.float32(worth), np.float32(weight)
    for place in range(number):
        link = links[row, np.uint32(slots[place]), statistic] * unit
        lifts[place] = np.float32(1.0) + link * scales[np.uint32(targets[place])]
    bits = lifts.view(np.int32)
    for place in range(number):
        pattern = bits[place]
        exponent = np.float32(np.int32(pattern >> 23) - np.int32(127)) * np.float32(_LN_2)
        bits[place] = np.int32(pattern & np.int32(0x7FFFFF)) | _BITS_OF_ONE
        part = lifts[place]
        # The minimax polynomial of degree 4 for the logarithm on [1, 2).
        top = np.float32(0.44717955) - np.float32(0.056570851) * part
        middle = np.float32(2.8212026) + part * (np.float32(-1.4699568) + part * top)
        logarithm = exponent + np.float32(-1.7417939) + part * middle
        lifts[place] = factor * logarithm if pattern != _BITS_OF_ONE else np.float32(0.0)


@compiled
def _add_lifts(
    targets: NDArray[np.int32],
    number: int,
    session_lifts: NDArray[np.float32],
    timed_lifts: NDArray[np.float32],
    evidence: NDArray[np.float32],
) -> None:
    """Add the lifts of the first `number` links to the evidence of their `targets`."""
    for place in range(number):
        target = np.uint32(targets[place])
        evidence[target, SESSION_LIFTS] += session_lifts[place]
        evidence[target, TIMED_LIFTS] += timed_lifts[place]


@compiled
def _add_links(
    links: NDArray[np.float32],
    row: np.uint32,
    slots: NDArray[np.int32],
    number: int,
    targets: NDArray[np.int32],
    factors: NDArray[np.float32],
    lag: int,
    evidence: NDArray[np.float32],
) -> None:
    """Add links, times the factors, to the evidence of their items.

    Links of 0 are added like others: an unpredictable branch costs more.

    Args:
        links: [N, K, STATISTICS] float32.
        row: Row of the links.
        slots: [K] int32 slots of the links to pooled items.
        number: Links in use in `slots` and `targets`.
        targets: [K] int32 places of these links in the pool.
        factors: [lags, LINK_KERNELS] float32.
        lag: Row of the factors to use.
        evidence: [P, EVIDENCE] float32 out.
    """
    # Locals: after every write to the evidence, the compiler would have to read the factors again.
    short, session, long = factors[lag, FOLLOWED_SHORT], factors[lag, FOLLOWED_SESSION], factors[lag, FOLLOWED_LONG]
    wide, timed, covisited = factors[lag, FOLLOWED_WIDE], factors[lag, FOLLOWED_TIMED], factors[lag, TOGETHER]
    liked, disliked = factors[lag, TOGETHER_LIKED], factors[lag, TOGETHER_DISLIKED]
    for place in range(number):
        slot, own = np.uint32(slots[place]), np.uint32(targets[place])
        followed, widely, together = links[row, slot, SHORT], links[row, slot, WIDE], links[row, slot, COVISITED]
        timed_link = timed * links[row, slot, TIMED]
        evidence[own, FOLLOWED_SHORT] += short * followed
        evidence[own, FOLLOWED_SESSION] += session * followed
        evidence[own, FOLLOWED_LONG] += long * followed
        evidence[own, FOLLOWED_WIDE] += wide * widely
        evidence[own, FOLLOWED_TIMED] += timed_link
        evidence[own, TOGETHER] += covisited * together
        evidence[own, TOGETHER_LIKED] += liked * together
        evidence[own, TOGETHER_DISLIKED] += disliked * together
        evidence[own, STRONGEST] = max(evidence[own, STRONGEST], timed_link)
