"""What the evaluation asks of a baseline."""

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.user_state import UserState
from millrace.model.dataset.event_table import EventTable


class Baseline(Protocol):
    """Scores the whole catalogue and learns one event at a time."""

    def scores(self, state: UserState, now_ms: int) -> NDArray[np.float64]:
        """Return [N] finite scores by item index for a user's next event.

        N is the size the baseline was made with, or more once it has learned of a higher index. The array is the
        caller's: nothing learned later changes it.
        """
        ...

    def learn(self, before: UserState, item: int, value: float, ts_ms: int) -> None:
        """Learn that `item` followed the state.

        Args:
            before: The user before the event.
            item: Dense index, from 1.
            value: 0.5 to 5.
            ts_ms: Event time.
        """
        ...


@runtime_checkable
class FittedBaseline(Baseline, Protocol):
    """A baseline with a part that is fitted to the whole log now and then; until the first fit it falls back.

    Attributes:
        refit_share: The next fit is due when the log has grown by this share since the last one.
    """

    refit_share: float

    def fit(self, events: EventTable, seed: int) -> None:
        """Fit to the log so far.

        Args:
            events: Everything that happened; a user's number is the `user_id` of their states, as a string.
            seed: Of whatever is random in the fit.
        """
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
