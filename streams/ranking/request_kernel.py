"""Writes one user's tensors of a scoring request."""

import numpy as np
from numpy.typing import NDArray

from millrace.streams.compiled import compiled


@compiled
def fill_request(
    items: NDArray[np.int32],
    values: NDArray[np.float32],
    ts_ms: NDArray[np.int64],
    touched: NDArray[np.int32],
    unavailable: NDArray[np.int32],
    now_ms: int,
    history: NDArray[np.int32],
    history_values: NDArray[np.float32],
    history_ages_s: NDArray[np.float32],
    exclude: NDArray[np.int32],
) -> None:
    """Write one user's row of the request's tensors.

    Args:
        items: [H] items, newest first.
        values: [H] their values.
        ts_ms: [H] their times.
        touched: [T] items the user has touched, newest last.
        unavailable: [M] items that are not available.
        now_ms: Time of the request.
        history: [L] out, zero before; the newest item comes last.
        history_values: [L] out, the same.
        history_ages_s: [L] out, the same: seconds before `now_ms`.
        exclude: [E] out, zero before: touched items, newest first, then unavailable ones, as far as there is room.
    """
    length = len(history)
    for lag in range(min(len(items), length)):
        place = length - 1 - lag
        history[place] = items[lag]
        history_values[place] = values[lag]
        history_ages_s[place] = max(now_ms - ts_ms[lag], 0) / 1000.0
    newest = min(len(touched), len(exclude))
    for place in range(newest):
        exclude[place] = touched[len(touched) - 1 - place]
    for place in range(min(len(unavailable), len(exclude) - newest)):
        exclude[newest + place] = unavailable[place]
