"""Selection of a baseline's hyperparameters: fit on the older part of the log, evaluate on the newest."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.user_state import HISTORY_LENGTH, UserState
from millrace.model.baselines.baseline import FittedBaseline, top_untouched
from millrace.model.dataset.event_table import EventTable
from millrace.model.metrics import RankingMetrics

Setting = TypeVar("Setting")

_NEWEST_SHARE = 0.1
_MAX_GRADED = 2_000
# With fewer graded events, the differences between settings are mostly noise.
_MIN_GRADED = 50


def best_setting(
    settings: Sequence[Setting], make: Callable[[Setting], FittedBaseline], events: EventTable, seed: int
) -> Setting:
    """Return the setting with the highest NDCG@10 on the newest tenth of the log.

    Each baseline is fitted to the older events. During the evaluation the user states advance, the model does not.

    Args:
        settings: Settings to compare; the first of equal ones wins, and the middle one if the newest tenth is too
            short.
        make: Returns an unfitted baseline with a setting.
        events: The log so far.
        seed: Seed of the fits.
    """
    cut = newest_from(events)
    if cut is None:
        return settings[len(settings) // 2]
    gains = [_ndcg(_fitted(make(setting), events.head(cut), seed), events, cut) for setting in settings]
    return settings[int(np.argmax(gains))]


def newest_from(events: EventTable) -> int | None:
    """Return the first row of the newest tenth of the log; None if that has fewer than `_MIN_GRADED` events."""
    graded = int(_NEWEST_SHARE * len(events))
    return len(events) - graded if graded >= _MIN_GRADED else None


def _fitted(baseline: FittedBaseline, events: EventTable, seed: int) -> FittedBaseline:
    baseline.fit(events, seed)
    return baseline


def _ndcg(baseline: FittedBaseline, events: EventTable, cut: int) -> float:
    metrics = RankingMetrics()
    available = np.ones(int(events.items.max()) + 1, np.bool_)
    available[0] = False
    for state, row in newest_moments(events, cut):
        item = int(events.items[row])
        listed = top_untouched(baseline.scores(state, int(events.ts_ms[row])), state, available)
        metrics.add(listed.index(item) if item in listed else None)
    return metrics.ndcg


def newest_moments(events: EventTable, cut: int) -> Iterator[tuple[UserState, int]]:
    """Iterate over the first touches of items from row `cut` on, evenly sampled to at most `_MAX_GRADED`.

    Args:
        events: The log, in order.
        cut: First row to consider.

    Yields:
        The user's state before the event, and the row of the event.
    """
    rows_of: defaultdict[int, list[int]] = defaultdict(list)
    for row, user in enumerate(events.users[:cut].tolist()):
        rows_of[user].append(row)
    step = -(-(len(events) - cut) // _MAX_GRADED)
    for row in range(cut, len(events)):
        user, item = int(events.users[row]), int(events.items[row])
        if row % step == 0 and not (events.items[rows_of[user]] == item).any():
            yield _state(events, str(user), np.asarray(rows_of[user], np.int64)), row
        rows_of[user].append(row)


def _state(events: EventTable, user_id: str, rows: NDArray[np.int64]) -> UserState:
    """Return the state of a user after the user's events at `rows`, [R] int64 in log order."""
    newest = rows[::-1][:HISTORY_LENGTH]
    items = events.items[rows]
    return UserState(
        user_id,
        count=len(rows),
        value_sum=float(events.values[rows].sum()),
        items=events.items[newest],
        values=events.values[newest],
        ts_ms=events.ts_ms[newest],
        touched=items[np.sort(np.unique(items, return_index=True)[1])],
    )
