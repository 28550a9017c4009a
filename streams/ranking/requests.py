"""Scoring requests without candidates, and the width of their exclude tensor."""

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.user_state import UserState
from millrace.streams.compiled import plain
from millrace.streams.ranking.candidate_batch import allocate
from millrace.streams.ranking.request_kernel import fill_request
from millrace.streams.scoring.scorer import EXCLUDE_BUCKETS, ScoreRequest

_NONE: NDArray[np.int32] = np.empty(0, np.int32)


def exclude_width(states: Sequence[UserState], unavailable: NDArray[np.int32]) -> int:
    """Return the number of excluded items in a request; if there are more, the newest touched ones are sent."""
    longest = max([len(state.touched) for state in states], default=0) + len(unavailable)
    return EXCLUDE_BUCKETS[min(bisect_left(EXCLUDE_BUCKETS, longest), len(EXCLUDE_BUCKETS) - 1)]


def request_without_candidates(states: Sequence[UserState], now_ms: Sequence[int]) -> ScoreRequest:
    """Return a request that asks for the network's own proposals alone, with every item available.

    Args:
        states: B users.
        now_ms: [B] time of each request.
    """
    memory, batch = allocate(len(states), exclude_width(states, _NONE))
    memory[:] = 0.0
    for row, (state, time_ms) in enumerate(zip(states, now_ms, strict=True)):
        known = (plain(state.items), plain(state.values), plain(state.ts_ms), plain(state.touched))
        tensors = (batch.history[row], batch.history_value[row], batch.history_age_s[row], batch.exclude[row])
        fill_request(*known, _NONE, int(time_ms), *tensors)
    return batch.request()
