"""Weights of a history's entries in the kernels that sum over their links."""

import numpy as np
from numpy.typing import NDArray

from millrace.streams.compiled import compiled
from millrace.streams.ranking.arrays import HistoryWeights, LinkRows, User
from millrace.streams.statistics.row_kernels import SHORT, TIMED, WIDE, fading

# Kernels over the links of a history: five of transitions, three of co-visitation.
TRANSITIONS, COVISITS = 5, 3
FOLLOWED_SHORT, FOLLOWED_SESSION, FOLLOWED_LONG, FOLLOWED_WIDE, FOLLOWED_TIMED = range(TRANSITIONS)
TOGETHER, TOGETHER_LIKED, TOGETHER_DISLIKED = range(TRANSITIONS, TRANSITIONS + COVISITS)
LINK_KERNELS = TRANSITIONS + COVISITS
# Pseudo-count with which a row backs off to popularity.
BACK_OFF = 10.0
# Pseudo-count in the normalisation of co-visitation.
COVISIT_PRIOR = 5.0
# On ml-latest-small 40 rank as well as 50, also among its frequent movies alone; there 32 rank a little worse.
EVIDENCE_LAGS = 40
# Columns of `worths`.
SESSION_LIFT, TIMED_LIFT, FADE, WORTHS = range(4)
_SHORT_LAGS, _SESSION_S = 20, 600.0
# By lag: short, session, long, wide and timed transitions, co-visitation, lifts over timed transitions.
_DECAYED = np.array([0.8, 0.85, 0.95, 0.93, 0.93, 0.98, 0.9]) ** np.arange(EVIDENCE_LAGS)[:, None]
_COVISIT, _TIMED_LIFT_DECAY = 5, 6


@compiled
def weigh_history(user: User, rows: LinkRows, counts: NDArray[np.int64]) -> HistoryWeights:
    """Turn the weights of a user's newest EVIDENCE_LAGS entries into the factors of their links.

    The chance that i comes next is estimated as sum_d w_d (A[j_d, i] + m p_i) / (row sum of j_d + m) / sum_d w_d, with
    m = BACK_OFF and p_i the popularity: `factors` are those of A, `back_off` the factor of p_i, `totals` the sum of
    w_d.

    Args:
        user: Whose history, at which time.
        rows: Sums and landmarks of the rows of the statistics.
        counts: [N] all-time counts.
    """
    lags = min(len(user.items), EVIDENCE_LAGS)
    factors, worths = np.empty((lags, LINK_KERNELS), np.float32), np.empty((lags, WORTHS))
    back_off, totals, weights = np.zeros(TRANSITIONS), np.zeros(LINK_KERNELS), np.zeros(LINK_KERNELS)
    items, values, ts_ms, sums, landmarks = user.items, user.values, user.ts_ms, rows.sums, rows.landmarks
    for lag in range(lags):
        row = np.uint32(items[lag])
        gap_s = max(user.now_ms - ts_ms[lag], 0) / 1000.0
        session = _DECAYED[lag, FOLLOWED_SESSION] / np.sqrt(1.0 + gap_s / _SESSION_S)
        fade = fading(landmarks[row], user.clock)
        worths[lag, SESSION_LIFT] = session
        worths[lag, TIMED_LIFT] = _DECAYED[lag, _TIMED_LIFT_DECAY]
        worths[lag, FADE] = fade
        _weigh(lag, session, values[lag] - user.mean_value, weights)
        _divide(weights, sums, row, fade, counts[row], factors, lag, back_off)
        for kernel in range(LINK_KERNELS):
            totals[kernel] += weights[kernel]
    return HistoryWeights(factors, worths, back_off, totals)


@compiled
def _weigh(lag: int, session: float, liking: float, weights: NDArray[np.float64]) -> None:
    """Write how much a history entry counts in each kernel.

    Args:
        lag: Place of the entry in the history.
        session: Its weight in the transitions of the session.
        liking: Its value, less the user's mean.
        weights: [LINK_KERNELS] out.
    """
    for kernel in range(TRANSITIONS):
        weights[kernel] = _DECAYED[lag, kernel]
    if lag >= _SHORT_LAGS:
        weights[FOLLOWED_SHORT] = 0.0
    weights[FOLLOWED_SESSION] = session
    together = _DECAYED[lag, _COVISIT]
    weights[TOGETHER] = together
    weights[TOGETHER_LIKED] = together * max(0.0, liking)
    weights[TOGETHER_DISLIKED] = together * max(0.0, -liking)


@compiled
def _divide(
    weights: NDArray[np.float64],
    sums: NDArray[np.float64],
    row: np.uint32,
    fade: float,
    count: int,
    factors: NDArray[np.float32],
    lag: int,
    back_off: NDArray[np.float64],
) -> None:
    """Turn a history entry's weights into factors of its links.

    Args:
        weights: [LINK_KERNELS].
        sums: [N, STATISTICS] float64 totals of each row.
        row: Row of the entry.
        fade: Present worth of the row's timed transitions.
        count: Events of the entry's item.
        factors: [lags, LINK_KERNELS] float32 out; the row of this entry is written.
        lag: Row of this entry in `factors`.
        back_off: [TRANSITIONS] float64 the weight of popularity is added here.
    """
    short, wide = sums[row, SHORT] + BACK_OFF, sums[row, WIDE] + BACK_OFF
    timed = sums[row, TIMED] * fade + BACK_OFF
    for kernel in range(TRANSITIONS):
        norm = short if kernel < FOLLOWED_WIDE else (wide if kernel == FOLLOWED_WIDE else timed)
        factors[lag, kernel] = weights[kernel] / norm
        back_off[kernel] += weights[kernel] * BACK_OFF / norm
    factors[lag, FOLLOWED_TIMED] *= fade
    for kernel in range(TRANSITIONS, LINK_KERNELS):
        factors[lag, kernel] = weights[kernel] / np.sqrt(count + COVISIT_PRIOR)
