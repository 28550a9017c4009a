"""The kernel behind `features.context_of`."""

import numpy as np
from numpy.typing import NDArray

from millrace.streams.compiled import compiled
from millrace.streams.ranking import columns
from millrace.streams.ranking.columns import GAP_BOUNDS_S

# What a rating is compared with; the mean of a user who has none.
NEUTRAL_VALUE = 3.5
LOG_HISTORY_SCALE = 5.0


@compiled
def write_context(
    count: int,
    bucket: int,
    mean_value: float,
    values: NDArray[np.float32],
    ts_ms: NDArray[np.int64],
    now_ms: int,
    out: NDArray[np.float32],
) -> None:
    """Write all of a request's context that needs no statistics of items.

    Args:
        count: Events of the user.
        bucket: Class of the history length `count`, as of `history_bucket`.
        mean_value: Mean rating of the user.
        values: [H] float32 ratings of the history, newest first.
        ts_ms: [H] int64 event times of the history, milliseconds since the epoch.
        now_ms: Time of the request, milliseconds since the epoch.
        out: [U] float32 out, zero before; see `columns.CONTEXT_NAMES`.
    """
    out[columns.HISTORY_0 + bucket] = 1.0
    gap = len(GAP_BOUNDS_S)
    if len(ts_ms):
        gap_s, gap = (now_ms - ts_ms[0]) / 1000.0, 0
        for bound in GAP_BOUNDS_S:
            gap += gap_s > bound
    out[columns.GAP_0 + gap] = 1.0
    if count > 0:
        out[columns.LOG_HISTORY] = np.log1p(count) / LOG_HISTORY_SCALE
        out[columns.LAST_VALUE] = values[0] - NEUTRAL_VALUE
        out[columns.MEAN_VALUE] = mean_value - NEUTRAL_VALUE
