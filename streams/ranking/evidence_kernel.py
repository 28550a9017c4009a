"""Summing the rows of a user's history into evidence for every item they name."""

import numpy as np
from numpy.typing import NDArray

from streams.compiled import compiled
from streams.statistics.row_kernels import COVISITED, SHORT, STATISTICS, TIMED, WIDE, fading

# Columns of the evidence: five transition kernels, three of co-visitation, two sums of log lifts, the strongest link.
TRANSITIONS = 5
COVISITS = 3
LIFTS = TRANSITIONS + COVISITS
STRONGEST = LIFTS + 2
# Columns in memory: a row of 16 float32 fills one cache line.
EVIDENCE = 16

# Pseudo-count with which a row backs off to popularity.
BACK_OFF = 10.0
# Pseudo-count in the normalisation of co-visitation.
COVISIT_PRIOR = 5.0
EVIDENCE_LAGS = 50
_SHORT_LAGS, _SESSION_S, _LIFT_LAGS = 20, 600.0, 20
# By lag: short, session, long, wide and timed transitions, co-visitation, lifts over timed transitions.
_DECAYED = np.array([0.8, 0.85, 0.95, 0.93, 0.93, 0.98, 0.9]) ** np.arange(EVIDENCE_LAGS)[:, None]
_SESSION, _COVISIT, _TIMED_LIFT = 1, 5, 6
_LN_2 = 0.6931471805599453

# What is known of an item during one request; FREE | FOUND is FOUND, BLOCKED | FOUND is BLOCKED.
FREE, FOUND, POOLED, BLOCKED = 0, 1, 2, 3


@compiled
def gather_evidence(
    history: NDArray[np.int32],
    values: NDArray[np.float32],
    ts_ms: NDArray[np.int64],
    now_ms: int,
    mean_value: float,
    clock: int,
    ids: NDArray[np.int32],
    row_values: NDArray[np.float32],
    lengths: NDArray[np.int32],
    sums: NDArray[np.float64],
    landmarks: NDArray[np.float64],
    counts: NDArray[np.int64],
    shares: NDArray[np.float32],
    marks: NDArray[np.uint8],
    found: NDArray[np.int32],
    evidence: NDArray[np.float32],
    back_off: NDArray[np.float64],
    totals: NDArray[np.float64],
) -> int:
    """Add up, for every item in the rows of the history, what each history-side kernel gives it.

    The chance that i comes next is estimated as sum_d w_d (A[j_d, i] + m p_i) / (row sum of j_d + m) / sum_d w_d, with
    m = BACK_OFF and p_i the popularity: `evidence` holds the part with A, `back_off` the factor of p_i, `totals` the
    sum of w_d. Beside these arithmetic means over the history stand two geometric ones, sum_d w_d log(1 + A[j_d,i] /
    (m p_i)): many weak links can say more than one strong one.

    Args:
        history: [H] items, newest first; the first EVIDENCE_LAGS count.
        values: [H] their values.
        ts_ms: [H] their times.
        now_ms: Time of the request.
        mean_value: The user's mean.
        clock: The statistics' clock.
        ids: [N, K], `row_values` [N, K, S], `lengths` [N], `sums` [N, S], `landmarks` [N]: the rows.
        row_values: See ids.
        lengths: See ids.
        sums: See ids.
        landmarks: See ids.
        counts: [N] all-time counts.
        shares: [N] recent shares, the p_i.
        marks: [N] scratch; BLOCKED items are left out, new ones become FOUND.
        found: [N] out: the items found, in order of discovery.
        evidence: [N, EVIDENCE] out: rows of the items found.
        back_off: [TRANSITIONS] out.
        totals: [EVIDENCE] out.

    Returns:
        How many items were found.
    """
    back_off[:] = 0.0
    totals[:] = 0.0
    number = 0
    weights, factors = np.zeros(LIFTS), np.zeros(LIFTS, np.float32)
    neighbours = ids.shape[1]
    items, links = np.empty(neighbours, np.int32), np.empty((STATISTICS, neighbours), np.float32)
    session_lifts, timed_lifts = np.empty(neighbours, np.float32), np.empty(neighbours, np.float32)
    for lag in range(min(len(history), EVIDENCE_LAGS)):
        row, decayed = history[lag], _DECAYED[lag]
        gap_s = max(now_ms - ts_ms[lag], 0) / 1000.0
        session = decayed[_SESSION] / np.sqrt(1.0 + gap_s / _SESSION_S)
        fade = fading(landmarks[row], clock)
        _weigh(lag, session, values[lag] - mean_value, weights)
        _divide(weights, sums[row], fade, counts[row], factors, back_off)
        for kernel in range(LIFTS):
            totals[kernel] += weights[kernel]
        before = number
        size, number = _open_links(ids[row, : lengths[row]], row_values[row], marks, items, links, found, number)
        for place in range(before, number):
            _clear(evidence, found[place])
        if lag < _LIFT_LAGS:
            _lift(items, size, links[SHORT], 1.0, shares, session, session_lifts)
            _lift(items, size, links[TIMED], fade, shares, decayed[_TIMED_LIFT], timed_lifts)
            _add_lifts(items, size, session_lifts, timed_lifts, evidence)
        _add_links(items, size, links, factors, evidence)
    return number


@compiled
def _weigh(lag: int, session: float, liking: float, weights: NDArray[np.float64]) -> None:
    """Write how much a history entry counts in each kernel.

    Args:
        lag: Place of the entry in the history.
        session: Its weight in the transitions of the session.
        liking: Its value, less the user's mean.
        weights: [LIFTS] out.
    """
    decayed = _DECAYED[lag]
    for kernel in range(TRANSITIONS):
        weights[kernel] = decayed[kernel]
    if lag >= _SHORT_LAGS:
        weights[0] = 0.0
    weights[_SESSION] = session
    weights[TRANSITIONS] = decayed[_COVISIT]
    weights[TRANSITIONS + 1] = decayed[_COVISIT] * max(0.0, liking)
    weights[TRANSITIONS + 2] = decayed[_COVISIT] * max(0.0, -liking)


@compiled
def _divide(
    weights: NDArray[np.float64],
    sums: NDArray[np.float64],
    fade: float,
    count: int,
    factors: NDArray[np.float32],
    back_off: NDArray[np.float64],
) -> None:
    """Turn a history entry's weights into factors of its links.

    Args:
        weights: [LIFTS].
        sums: [S] of the entry's row.
        fade: What the row's timed transitions are worth now.
        count: Events of the entry's item.
        factors: [LIFTS] out.
        back_off: [TRANSITIONS] what is left to popularity is added here.
    """
    short, wide, timed = sums[SHORT] + BACK_OFF, sums[WIDE] + BACK_OFF, sums[TIMED] * fade + BACK_OFF
    for kernel in range(TRANSITIONS):
        norm = short if kernel < 3 else (wide if kernel == 3 else timed)
        factors[kernel] = weights[kernel] / norm
        back_off[kernel] += weights[kernel] * BACK_OFF / norm
    factors[4] *= fade
    for kernel in range(TRANSITIONS, LIFTS):
        factors[kernel] = weights[kernel] / np.sqrt(count + COVISIT_PRIOR)


@compiled
def _open_links(
    ids: NDArray[np.int32],
    values: NDArray[np.float32],
    marks: NDArray[np.uint8],
    items: NDArray[np.int32],
    links: NDArray[np.float32],
    found: NDArray[np.int32],
    number: int,
) -> tuple[int, int]:
    """Copy the links of a row to items that are not BLOCKED; without branches, as nobody can foresee which are.

    Args:
        ids: [n] neighbours of the row.
        values: [>= n, S] their numbers.
        marks: [N] FREE items become FOUND.
        items: [K] out: the items.
        links: [S, K] out: their numbers.
        found: [N] out: items that were FREE are appended.
        number: Items found so far.

    Returns:
        How many links were copied, and how many items are found now.
    """
    size = 0
    for slot in range(len(ids)):
        item = np.uint32(ids[slot])
        mark = marks[item]
        items[size], found[number] = item, item
        for statistic in range(STATISTICS):
            links[statistic, size] = values[slot, statistic]
        marks[item] = mark | FOUND
        size += mark != BLOCKED
        number += mark == FREE
    return size, number


@compiled
def _clear(evidence: NDArray[np.float32], item: int) -> None:
    """Set an item's row to zero."""
    for column in range(EVIDENCE):
        evidence[item, column] = 0.0


@compiled
def _lift(
    items: NDArray[np.int32],
    size: int,
    links: NDArray[np.float32],
    worth: float,
    shares: NDArray[np.float32],
    weight: float,
    lifts: NDArray[np.float32],
) -> None:
    """Write weight log(1 + link / (m p_i)), the logarithm to about 1e-4, and 0 without a link.

    Args:
        items: [K] the first `size` count.
        size: See items.
        links: [K] in units of `worth`.
        worth: See links.
        shares: [N] recent shares, the p_i.
        weight: See above.
        lifts: [K] out, contiguous.
    """
    unit, scale, factor = np.float32(worth), np.float32(1.0 / BACK_OFF), np.float32(weight)
    for place in range(size):
        lifts[place] = np.float32(1.0) + links[place] * unit * (scale / shares[np.uint32(items[place])])
    bits = lifts.view(np.int32)
    for place in range(size):
        pattern = bits[place]
        exponent = np.float32(np.int32(pattern >> 23) - np.int32(127)) * np.float32(_LN_2)
        bits[place] = np.int32(pattern & np.int32(0x7FFFFF)) | np.int32(0x3F800000)
        part = lifts[place]
        # The minimax polynomial of degree 4 for the logarithm on [1, 2).
        top = np.float32(0.44717955) - np.float32(0.056570851) * part
        middle = np.float32(2.8212026) + part * (np.float32(-1.4699568) + part * top)
        logarithm = exponent + np.float32(-1.7417939) + part * middle
        lifts[place] = factor * logarithm if links[place] > 0.0 else np.float32(0.0)


@compiled
def _add_lifts(
    items: NDArray[np.int32],
    size: int,
    session_lifts: NDArray[np.float32],
    timed_lifts: NDArray[np.float32],
    evidence: NDArray[np.float32],
) -> None:
    """Add lifts [K], the first `size`, to the evidence of their items."""
    for place in range(size):
        item = np.uint32(items[place])
        evidence[item, LIFTS] += session_lifts[place]
        evidence[item, LIFTS + 1] += timed_lifts[place]


@compiled
def _add_links(
    items: NDArray[np.int32],
    size: int,
    links: NDArray[np.float32],
    factors: NDArray[np.float32],
    evidence: NDArray[np.float32],
) -> None:
    """Add the first `size` links [S, K], times the factors [LIFTS], to the evidence of their items.

    Links of 0 are added like others: what a branch costs that nobody can foresee is more.
    """
    # Locals: behind every write to the evidence, the compiler would have to read an array's elements again.
    short, session, long, wide, timed = factors[0], factors[1], factors[2], factors[3], factors[4]
    covisited, liked, disliked = factors[TRANSITIONS], factors[TRANSITIONS + 1], factors[TRANSITIONS + 2]
    for place in range(size):
        own = evidence[np.uint32(items[place])]
        followed, together = links[SHORT, place], links[COVISITED, place]
        timed_link = timed * links[TIMED, place]
        own[0] += short * followed
        own[1] += session * followed
        own[2] += long * followed
        own[3] += wide * links[WIDE, place]
        own[4] += timed_link
        own[TRANSITIONS] += covisited * together
        own[TRANSITIONS + 1] += liked * together
        own[TRANSITIONS + 2] += disliked * together
        own[STRONGEST] = max(own[STRONGEST], timed_link)


@compiled
def block(items: NDArray[np.int32], marks: NDArray[np.uint8]) -> None:
    """Mark items, those out of range aside, as BLOCKED."""
    for item in items:
        if item < len(marks):
            marks[item] = BLOCKED


@compiled
def forget(lists: tuple[NDArray[np.int32], ...], marks: NDArray[np.uint8]) -> None:
    """Free the items of all lists again, those out of range aside."""
    for items in lists:
        for item in items:
            if item < len(marks):
                marks[item] = FREE
