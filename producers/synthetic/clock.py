"""When a user rates: one long first session, a few short ones later, several ratings in the same second."""

import numpy as np
from numpy.typing import NDArray

FIRST_TS_S = 956_703_932  # 2000-04-25, where ml-1m begins
SPAN_S = 1_000 * 86_400
_ARRIVAL_POWER = 2.0  # most users arrive early, as in ml-1m
_ARRIVAL_SHARE = 0.8  # of the span
_ONE_DAY_SHARE = 0.4  # of the users never come back
_LATER_SHARE = 0.8  # most that a returning user keeps for later days
_LATER_SESSION_EVENTS = 15.0
_DAYS_BETWEEN = 20.0
_SAME_SECOND = 0.5
_GAP_S = 25.0


def arrivals(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return when each user's first session begins, as a share of the span."""
    shares: NDArray[np.float64] = _ARRIVAL_SHARE * rng.random(count) ** _ARRIVAL_POWER
    return shares


def event_times(arrival: float, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return [count] seconds since 1970, never falling; about half equal the one before.

    Args:
        arrival: Share of the span at which the first session begins.
        count: Events.
        rng: Source of randomness.
    """
    gaps = np.where(rng.random(count) < _SAME_SECOND, 0, np.ceil(rng.exponential(_GAP_S, count)))
    if rng.random() >= _ONE_DAY_SHARE:
        later = int(count * _LATER_SHARE * rng.random())
        begins = rng.random(later) < 1.0 / _LATER_SESSION_EVENTS
        pause = np.ceil(rng.exponential(_DAYS_BETWEEN * 86_400, later))
        gaps[count - later :] += np.where(begins, pause, 0)
    since = np.minimum(np.cumsum(gaps), (1.0 - arrival) * SPAN_S)
    times: NDArray[np.int64] = (FIRST_TS_S + np.floor(arrival * SPAN_S + since)).astype(np.int64)
    return times
