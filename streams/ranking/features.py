"""The context of a request, as the scoring model reads it."""

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.user_state import UserState
from millrace.streams.compiled import plain
from millrace.streams.ranking.columns import CONTEXT_NAMES, CONTEXTS, FEATURE_NAMES, FEATURES
from millrace.streams.ranking.context_kernel import NEUTRAL_VALUE, write_context
from millrace.streams.statistics.popularity import history_bucket

__all__ = ["CONTEXTS", "CONTEXT_NAMES", "FEATURES", "FEATURE_NAMES", "context_of"]


def context_of(state: UserState, now_ms: int) -> NDArray[np.float32]:
    """Return the context [U] of a request made at `now_ms`, in the order of CONTEXT_NAMES.

    The last two entries are left 0: they need item statistics, see `taste_kernel.write_taste`.
    """
    context, mean_value = np.zeros(CONTEXTS, np.float32), state.mean_value or NEUTRAL_VALUE
    bucket = history_bucket(state.count)
    write_context(state.count, bucket, mean_value, plain(state.values), plain(state.ts_ms), int(now_ms), context)
    return context
