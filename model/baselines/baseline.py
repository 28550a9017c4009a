"""The interface between the evaluation and the baselines."""

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.user_state import UserState
from millrace.model.dataset.event_table import EventTable


class Baseline(Protocol):
    """A recommender that scores the whole catalogue and learns one event at a time."""

    def scores(self, state: UserState, now_ms: int) -> NDArray[np.float64]:
        """Score all items for a user's next event.

        Args:
            state: The user before that event.
            now_ms: Time of the request, in milliseconds since 1970.

        Returns:
            [N] float64 finite scores by dense item index. N is the initial size of the baseline, or more once it has
            learned a higher index. The caller owns the array; later learning does not change it.
        """
        ...

    def learn(self, before: UserState, item: int, value: float, ts_ms: int) -> None:
        """Learn one event.

        Args:
            before: The user before the event.
            item: Dense index of the event's item, from 1.
            value: Value of the event, 0.5 to 5.
            ts_ms: Event time, in milliseconds since 1970.
        """
        ...


@runtime_checkable
class FittedBaseline(Baseline, Protocol):
    """A baseline with a model that is refitted to the whole log at intervals.

    Before the first fit, its scores come from a back-off.

    Attributes:
        refit_share: Relative growth of the log since the last fit at which the next fit is due.
    """

    refit_share: float

    def fit(self, events: EventTable, seed: int) -> None:
        """Fit the model to the log so far.

        Args:
            events: The whole log so far. The decimal form of a user's number equals the `user_id` of the user's states.
            seed: Seed of the fit.
        """
        ...


def top_untouched(
    scores: NDArray[np.float64], state: UserState, available: NDArray[np.bool_], length: int = 10
) -> list[int]:
    """Return the available items with the highest scores that the user has not touched.

    Args:
        scores: [N] float64 scores by dense item index.
        state: The user.
        available: [>= N] bool, whether each item may be listed.
        length: Most items to return.

    Returns:
        Dense item indexes, best first; of equal scores the lower index comes first.
    """
    allowed = available[: len(scores)].copy()
    allowed[state.touched[state.touched < len(allowed)]] = False
    items = np.flatnonzero(allowed)
    values = scores[items]
    if len(items) > length:
        limit = np.partition(values, len(values) - length)[len(values) - length]
        items = items[values >= limit]
        values = scores[items]
    return [int(item) for item in items[np.argsort(-values, kind="stable")][:length]]
