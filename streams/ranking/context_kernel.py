"""The kernel behind `features.context_of`."""

import numpy as np
from numpy.typing import NDArray

from millrace.streams.compiled import compiled
from millrace.streams.statistics.popularity import HISTORY_BUCKETS

# Upper bounds, in seconds, of the buckets of the time since the user's last event.
GAP_BOUNDS_S = (10.0, 120.0, 1_800.0, 43_200.0, 604_800.0)
GAP_BUCKETS = len(GAP_BOUNDS_S) + 1
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
        count: Events of the user, of which `bucket` is the class and `mean_value` the mean rating.
        bucket: See count.
        mean_value: See count.
        values: [H] of the history, newest first; `ts_ms` [H] its times.
        ts_ms: See values.
        now_ms: Time of the request.
        out: [U] out, zero before.
    """
    out[bucket] = 1.0
    gap = len(GAP_BOUNDS_S)
    if len(ts_ms):
        gap_s, gap = (now_ms - ts_ms[0]) / 1000.0, 0
        for bound in GAP_BOUNDS_S:
            gap += gap_s > bound
    out[HISTORY_BUCKETS + gap] = 1.0
    if count > 0:
        out[-5] = np.log1p(count) / LOG_HISTORY_SCALE
        out[-4] = values[0] - NEUTRAL_VALUE
        out[-3] = mean_value - NEUTRAL_VALUE
