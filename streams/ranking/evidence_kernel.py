"""Summing the rows of a user's history into evidence for every item they name."""

import numpy as np
from numpy.typing import NDArray

from streams.compiled import compiled
from streams.statistics.row_kernels import COVISITED, SHORT, TIMED, WIDE, fading

# Columns of the evidence: five transition kernels, three of co-visitation, two sums of log lifts, the strongest link.
TRANSITIONS = 5
COVISITS = 3
LIFTS = TRANSITIONS + COVISITS
STRONGEST = LIFTS + 2
# Scratch: 1 / (m p_i), beside the evidence so that a link finds it in the same cache line.
_SCALE = STRONGEST + 1
EVIDENCE = _SCALE + 1

# Pseudo-count with which a row backs off to popularity.
BACK_OFF = 10.0
# Pseudo-count in the normalisation of co-visitation.
COVISIT_PRIOR = 5.0
EVIDENCE_LAGS = 50
_SHORT_LAGS, _SHORT_DECAY = 20, 0.8
_SESSION_DECAY, _SESSION_S = 0.85, 600.0
_LONG_DECAY = 0.95
_WIDE_DECAY = 0.93
_TIMED_DECAY = 0.93
_COVISIT_DECAY = 0.98
_LIFT_LAGS, _LIFT_DECAY = 20, 0.9
_LN_2 = 0.6931471805599453

# What is known of an item during one request.
FREE, FOUND, POOLED, BLOCKED = 0, 1, 2, 3


@compiled
def _log(number: NDArray[np.float32], bits: NDArray[np.int32]) -> np.float32:
    """Return the logarithm of a normal positive float32 to about 1e-4; the exact one costs as much as a link.

    Args:
        number: [1] the number; overwritten by its mantissa.
        bits: [1] the same memory as int32.
    """
    pattern = bits[0]
    exponent = np.float32((pattern >> 23) - 127) * np.float32(_LN_2)
    bits[0] = (pattern & 0x7FFFFF) | 0x3F800000
    part = number[0]
    # The minimax polynomial of degree 4 for the logarithm on [1, 2).
    top = np.float32(0.44717955) - np.float32(0.056570851) * part
    middle = np.float32(2.8212026) + part * (np.float32(-1.4699568) + part * top)
    return np.float32(exponent + np.float32(-1.7417939) + part * middle)


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
    weights = np.zeros(EVIDENCE)
    factors = np.zeros(EVIDENCE, np.float32)
    number_of = np.empty(1, np.float32)
    bits_of = number_of.view(np.int32)
    for lag in range(min(len(history), EVIDENCE_LAGS)):
        row = history[lag]
        weights[0] = _SHORT_DECAY**lag if lag < _SHORT_LAGS else 0.0
        gap_s = max(now_ms - ts_ms[lag], 0) / 1000.0
        weights[1] = _SESSION_DECAY**lag / np.sqrt(1.0 + gap_s / _SESSION_S)
        weights[2] = _LONG_DECAY**lag
        weights[3] = _WIDE_DECAY**lag
        weights[4] = _TIMED_DECAY**lag
        weights[5] = _COVISIT_DECAY**lag
        weights[6] = weights[5] * max(0.0, values[lag] - mean_value)
        weights[7] = weights[5] * max(0.0, mean_value - values[lag])
        fade = fading(landmarks[row], clock)
        short = sums[row, SHORT] + BACK_OFF
        wide = sums[row, WIDE] + BACK_OFF
        timed = sums[row, TIMED] * fade + BACK_OFF
        for kernel in range(TRANSITIONS):
            norm = short if kernel < 3 else (wide if kernel == 3 else timed)
            factors[kernel] = weights[kernel] / norm
            back_off[kernel] += weights[kernel] * BACK_OFF / norm
        factors[4] *= fade
        for kernel in range(TRANSITIONS, LIFTS):
            factors[kernel] = weights[kernel] / np.sqrt(counts[row] + COVISIT_PRIOR)
        for kernel in range(LIFTS):
            totals[kernel] += weights[kernel]
        # Locals: behind every write to the evidence, the compiler would have to read an array's elements again.
        short_factor, session_factor, long_factor = factors[0], factors[1], factors[2]
        wide_factor, timed_factor, covisit_factor = factors[3], factors[4], factors[TRANSITIONS]
        rating_column = TRANSITIONS + 1 if weights[TRANSITIONS + 1] > 0.0 else TRANSITIONS + 2
        rating_factor = factors[rating_column]
        lifted = lag < _LIFT_LAGS
        session_lift, timed_lift = np.float32(weights[1]), np.float32(_LIFT_DECAY**lag)
        worth = np.float32(fade)
        for slot in range(lengths[row]):
            item = ids[row, slot]
            mark = marks[item]
            if mark == BLOCKED:
                continue
            own = evidence[item]
            if mark == FREE:
                marks[item] = FOUND
                found[number] = item
                number += 1
                own[:] = 0.0
                own[_SCALE] = np.float32(1.0 / BACK_OFF) / shares[item]
            link = row_values[row, slot]
            followed, timed_link, together = link[SHORT], link[TIMED], link[COVISITED]
            scale = own[_SCALE]
            if followed > 0.0:
                own[0] += short_factor * followed
                own[1] += session_factor * followed
                own[2] += long_factor * followed
                if lifted:
                    number_of[0] = np.float32(1.0) + followed * scale
                    own[LIFTS] += session_lift * _log(number_of, bits_of)
            own[3] += wide_factor * link[WIDE]
            if timed_link > 0.0:
                if lifted:
                    number_of[0] = np.float32(1.0) + timed_link * worth * scale
                    own[LIFTS + 1] += timed_lift * _log(number_of, bits_of)
                timed_link *= timed_factor
                own[4] += timed_link
                own[STRONGEST] = max(own[STRONGEST], timed_link)
            own[TRANSITIONS] += covisit_factor * together
            own[rating_column] += rating_factor * together
    return number


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
