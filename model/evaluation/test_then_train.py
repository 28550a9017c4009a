"""Test-then-train: before each event its user's list is graded, then everything learns the event.

J. Gama, R. Sebastiao, P. P. Rodrigues, "On evaluating stream learning algorithms", Machine Learning 90 (2013).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import StrEnum

import numpy as np

from model.evaluation.outcomes import LISTED, GradedEvents, SystemOutcomes
from model.evaluation.split import Split
from model.evaluation.system import Ranking, System
from streams.users import ResolvedEvent, UserState, apply_event

_TOLD_EVERY = 200


class Moment(StrEnum):
    """When the graded list is made: as the next event arrives, or right after the user's event before it.

    The service makes lists after events, so `AFTER_EVENT` is what users are shown; `ON_REQUEST` is what published
    figures assume: newer statistics, and the time gap is known.
    """

    ON_REQUEST = "on-request"
    AFTER_EVENT = "after-event"


def graded_events(events: Sequence[ResolvedEvent], split: Split) -> GradedEvents:
    """Return the graded events of a stream with what was known of them."""
    users: dict[str, int] = {}
    states: dict[str, UserState] = {}
    counts: dict[int, int] = {}
    columns: list[tuple[int, int, int, float, int, int, float, int]] = []
    for row, event in enumerate(events[: split.stop]):
        number = users.setdefault(event.user_id, len(users))
        before = states.get(event.user_id) or UserState(event.user_id)
        applied = apply_event(before, event)
        if applied.duplicate:
            continue
        if row >= split.graded and applied.first_touch:
            last_ms = before.last_ts_ms
            gap_s = np.inf if last_ms is None else (event.ts_ms - last_ms) / 1000.0
            seen = counts.get(event.item, 0)
            columns.append((row, number, event.item, event.value, event.ts_ms, before.count, gap_s, seen))
        states[event.user_id] = applied.state
        counts[event.item] = counts.get(event.item, 0) + 1
    rows, numbers, items, values, times, lengths, gaps, seen_before = zip(*columns, strict=True)
    return GradedEvents(
        rows=np.array(rows, np.int64),
        users=np.array(numbers, np.int32),
        items=np.array(items, np.int32),
        values=np.array(values, np.float32),
        ts_ms=np.array(times, np.int64),
        history_lengths=np.array(lengths, np.int32),
        gaps_s=np.array(gaps, np.float64),
        item_counts=np.array(seen_before, np.int32),
        user_ids=tuple(users),
    )


class _Grades:
    """Collects the outcomes of one system."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.ranks: list[int] = []
        self.shown: list[tuple[int, ...]] = []

    def add(self, row: int, ranking: Ranking, target: int) -> None:
        self.rows.append(row)
        self.ranks.append(ranking.place_of(target))
        self.shown.append(ranking.shown[:LISTED])

    def outcomes(self, system: System, seconds: float) -> SystemOutcomes:
        shown = np.zeros((len(self.shown), LISTED), np.int32)
        for place, items in enumerate(self.shown):
            shown[place, : len(items)] = items
        predicted = [system.told.ratings.get(row, np.nan) for row in self.rows]
        return SystemOutcomes(
            system.name,
            np.array(self.ranks, np.int32),
            shown,
            np.array(predicted, np.float32),
            {**system.told.seconds, "all": seconds},
            dict(system.told.counts),
        )


def grade(
    events: Sequence[ResolvedEvent],
    system: System,
    split: Split,
    moment: Moment = Moment.ON_REQUEST,
    progress: Callable[[float], None] = lambda share: None,
) -> SystemOutcomes:
    """Replay a stream through one system and return its outcomes on the graded events.

    Only an event on an item that its user had not touched is graded. A user without a list is graded on the one that a
    new user gets at that time.

    Args:
        events: In time order.
        system: Fresh.
        split: What is graded; nothing after it is read.
        moment: When lists are made.
        progress: Told the share of the stream that is done.
    """
    began = time.perf_counter()
    grades = _Grades()
    users: dict[str, UserState] = {}
    lists: dict[str, Ranking] = {}
    for row, event in enumerate(events[: split.stop]):
        if row % _TOLD_EVERY == 0:
            progress(row / split.stop)
        before = users.get(event.user_id) or UserState(event.user_id)
        applied = apply_event(before, event)
        if applied.duplicate:
            continue
        system.prepare(row)
        state = applied.state
        if row >= system.lists_from:
            ranking = lists.pop(event.user_id, None)
            if ranking is None:
                ranking, kept = system.recommend(before, event.ts_ms)
                state = replace(state, proposals=kept.proposals)
            if row >= split.graded and applied.first_touch:
                grades.add(row, ranking, event.item)
        system.learn(row, before, event, applied.first_touch)
        if row >= system.lists_from and moment is Moment.AFTER_EVENT:
            lists[event.user_id], state = system.recommend(state, event.ts_ms)
        users[event.user_id] = state
    system.finish()
    progress(1.0)
    return grades.outcomes(system, time.perf_counter() - began)
