"""Choosing a baseline's setting by the log alone: fit on the older part, grade lists on the newest."""

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
# With fewer graded events the differences between settings are noise.
_MIN_GRADED = 50


def best_setting(
    settings: Sequence[Setting], make: Callable[[Setting], FittedBaseline], events: EventTable, seed: int
) -> Setting:
    """Return the setting with the best NDCG@10 on the newest tenth of the log; the middle one if that is too short.

    Weights are frozen at the cut, histories advance.

    Args:
        settings: Compared; the first one wins among equals.
        make: Returns a baseline of a setting, not fitted.
        events: The log so far.
        seed: Of the fits.
    """
    cut = newest_from(events)
    if cut is None:
        return settings[len(settings) // 2]
    gains = [_ndcg(_fitted(make(setting), events.head(cut), seed), events, cut) for setting in settings]
    return settings[int(np.argmax(gains))]


def newest_from(events: EventTable) -> int | None:
    """Return the first row of the newest tenth, None if that is too short to compare anything on."""
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
    """Yield the state before each first touch from row `cut` on, and its row; evenly thinned to at most _MAX_GRADED."""
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
    """Return a user after the events at `rows`, which are in log order."""
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
