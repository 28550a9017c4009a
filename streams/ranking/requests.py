"""The tensors of one scoring request."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

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
    """Put history, ages and exclusions beside candidates; see `ScoreRequest` for the shapes."""
    users = len(states)
    history = np.zeros((users, HISTORY_TENSOR_LENGTH), np.int32)
    values = np.zeros((users, HISTORY_TENSOR_LENGTH), np.float32)
    ages = np.zeros((users, HISTORY_TENSOR_LENGTH), np.float32)
    for row, (state, time_ms) in enumerate(zip(states, now_ms, strict=True)):
        length = min(len(state.items), HISTORY_TENSOR_LENGTH)
        if length:
            history[row, -length:] = state.items[:length][::-1]
            values[row, -length:] = state.values[:length][::-1]
            ages[row, -length:] = np.maximum(time_ms - state.ts_ms[:length][::-1], 0) / 1000.0
    return ScoreRequest(history, values, ages, candidates, features, context, _exclusions(states, unavailable))


def _exclusions(states: Sequence[UserState], unavailable: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return [B, E]: touched and unavailable items; of too many the newest touched ones are kept."""
    longest = max((len(state.touched) for state in states), default=0) + len(unavailable)
    width = next((size for size in EXCLUDE_BUCKETS if size >= longest), EXCLUDE_BUCKETS[-1])
    out = np.zeros((len(states), width), np.int32)
    for row, state in enumerate(states):
        items = np.concatenate((state.touched[::-1], unavailable))[:width]
        out[row, : len(items)] = items
    return out
