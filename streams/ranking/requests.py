"""The tensors of one scoring request."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streams.compiled import plain
from streams.ranking.request_kernel import fill_request
from streams.scoring.protocol import EXCLUDE_BUCKETS, HISTORY_TENSOR_LENGTH, ScoreRequest
from streams.users import UserState


@dataclass(frozen=True, slots=True)
class UserTensors:
    """What a request says of its users; shapes and meaning as in `ScoreRequest`."""

    history: NDArray[np.int32]
    history_value: NDArray[np.float32]
    history_age_s: NDArray[np.float32]
    exclude: NDArray[np.int32]

    @classmethod
    def of(cls, states: Sequence[UserState], now_ms: Sequence[int]) -> "UserTensors":
        """Return the tensors of users for whom every item is available."""
        unavailable, users = np.empty(0, np.int32), len(states)
        history, exclude = np.zeros((users, HISTORY_TENSOR_LENGTH), np.int32), exclude_width(states, unavailable)
        values, ages_s = np.zeros((2, users, HISTORY_TENSOR_LENGTH), np.float32)
        tensors = cls(history, values, ages_s, np.zeros((users, exclude), np.int32))
        for row, (state, time_ms) in enumerate(zip(states, now_ms, strict=True)):
            fill_request(
                plain(state.items),
                plain(state.values),
                plain(state.ts_ms),
                plain(state.touched),
                unavailable,
                int(time_ms),
                tensors.history[row],
                tensors.history_value[row],
                tensors.history_age_s[row],
                tensors.exclude[row],
            )
        return tensors

    def request(
        self, candidates: NDArray[np.int32], features: NDArray[np.float32], context: NDArray[np.float32]
    ) -> ScoreRequest:
        """Return the request that asks for these candidates."""
        history = (self.history, self.history_value, self.history_age_s)
        return ScoreRequest(*history, candidates, features, context, self.exclude)


def exclude_width(states: Sequence[UserState], unavailable: NDArray[np.int32]) -> int:
    """Return how many excluded items a request has room for; of too much the newest touched are kept."""
    longest = max([len(state.touched) for state in states], default=0) + len(unavailable)
    return EXCLUDE_BUCKETS[min(bisect_left(EXCLUDE_BUCKETS, longest), len(EXCLUDE_BUCKETS) - 1)]
