"""The tensors of one scoring request."""

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streams.compiled import plain
from streams.ranking.request_kernel import fill_request
from streams.scoring.protocol import EXCLUDE_BUCKETS, HISTORY_TENSOR_LENGTH, ScoreRequest
from streams.users import UserState


def score_request(
    states: Sequence[UserState],
    now_ms: Sequence[int],
    candidates: NDArray[np.int32],
    features: NDArray[np.float32],
    context: NDArray[np.float32],
    unavailable: NDArray[np.int32],
) -> ScoreRequest:
    """Put history, ages and exclusions beside candidates; see `ScoreRequest` for the shapes.

    Of too many exclusions the newest touched items are kept.
    """
    users = len(states)
    history = np.zeros((users, HISTORY_TENSOR_LENGTH), np.int32)
    values = np.zeros((users, HISTORY_TENSOR_LENGTH), np.float32)
    ages_s = np.zeros((users, HISTORY_TENSOR_LENGTH), np.float32)
    longest = max([len(state.touched) for state in states], default=0) + len(unavailable)
    width = EXCLUDE_BUCKETS[min(bisect_left(EXCLUDE_BUCKETS, longest), len(EXCLUDE_BUCKETS) - 1)]
    exclude = np.zeros((users, width), np.int32)
    for row, (state, time_ms) in enumerate(zip(states, now_ms, strict=True)):
        fill_request(
            plain(state.items),
            plain(state.values),
            plain(state.ts_ms),
            plain(state.touched),
            unavailable,
            int(time_ms),
            history[row],
            values[row],
            ages_s[row],
            exclude[row],
        )
    return ScoreRequest(history, values, ages_s, candidates, features, context, exclude)
