"""What the evaluation asks of a baseline."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streams.users import UserState


class Baseline(Protocol):
    """Scores the whole catalogue and learns one event at a time."""

    def scores(self, state: UserState, now_ms: int) -> NDArray[np.float64]:
        """Return [N] scores by item index for a user's next event; do not modify."""
        ...

    def learn(self, before: UserState, item: int, ts_ms: int) -> None:
        """Learn that `item` followed the state."""
        ...


def top_untouched(
    scores: NDArray[np.float64], state: UserState, available: NDArray[np.bool_], length: int = 10
) -> list[int]:
    """Return the best items that are available and not touched; ties go to the lower index."""
    allowed = available[: len(scores)].copy()
    allowed[state.touched[state.touched < len(allowed)]] = False
    items = np.flatnonzero(allowed)
    values = scores[items]
    if len(items) > length:
        limit = np.partition(values, len(values) - length)[len(values) - length]
        items = items[values >= limit]
        values = scores[items]
    return [int(item) for item in items[np.argsort(-values, kind="stable")][:length]]
