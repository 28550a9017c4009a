"""Test-then-train: before each event its user's list is graded, then everything learns the event.

J. Gama, R. Sebastiao, P. P. Rodrigues, "On evaluating stream learning algorithms", Machine Learning 90 (2013).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol

import numpy as np

from millrace.kernel.user_state import ResolvedEvent, UserState, apply_event
from millrace.model.evaluation.outcomes import LISTED, GradedEvents, SystemOutcomes
from millrace.model.evaluation.past import PastEvents
from millrace.model.evaluation.split import Split
from millrace.model.evaluation.system import Ranking, System

_TOLD_EVERY = 200


class ListTiming(StrEnum):
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


@dataclass(slots=True)
class GradingRun:
    """How far a system has come, and everything that going on needs.

    Args:
        system: What is graded.
        row: The next event.
        users: Their states.
        lists: Lists made after events and not graded yet, by user.
        rows: Rows graded.
        ranks: Places of their targets.
        shown: What was shown instead.
        seconds: Spent so far.
        observer: Looks on.
    """

    system: System
    row: int = 0
    users: dict[str, UserState] = field(default_factory=dict)
    lists: dict[str, Ranking] = field(default_factory=dict)
    rows: list[int] = field(default_factory=list)
    ranks: list[int] = field(default_factory=list)
    shown: list[tuple[int, ...]] = field(default_factory=list)
    seconds: float = 0.0
    observer: "ListObserver | None" = None

    def add(self, row: int, ranking: Ranking, target: int) -> None:
        """Grade a list."""
        self.rows.append(row)
        self.ranks.append(ranking.place_of(target))
        self.shown.append(ranking.shown[:LISTED])

    def outcomes(self) -> SystemOutcomes:
        """Return what the system did, once it is finished."""
        shown = np.zeros((len(self.shown), LISTED), np.int32)
        for place, items in enumerate(self.shown):
            shown[place, : len(items)] = items
        notes = self.system.notes
        return SystemOutcomes(
            self.system.name,
            np.array(self.ranks, np.int32),
            shown,
            np.array([notes.ratings.get(row, np.nan) for row in self.rows], np.float32),
            {**notes.seconds, "all": self.seconds},
            dict(notes.counts),
        )


class ListObserver(Protocol):
    """Looks on without taking part."""

    def observe(self, system: System, target: int) -> None:
        """Look at the list just made for a graded event, whose item is `target`."""
        ...


class CheckpointStore(Protocol):
    """Keeps a replay now and then, so that it can go on later."""

    def due(self) -> bool:
        """Return whether it is time."""
        ...

    def save(self, state: object) -> None:
        """Keep a replay."""
        ...


def grade(
    events: Sequence[ResolvedEvent],
    system: System,
    split: Split,
    moment: ListTiming = ListTiming.ON_REQUEST,
    progress: Callable[[float], None] = lambda share: None,
) -> SystemOutcomes:
    """Replay a stream through one system and return its outcomes on the graded events.

    Only an event on an item that its user had not touched is graded. A user without a list is graded on the one that a
    new user gets at that time.

    Args:
        events: In time order; a `PastEvents` is moved on with the replay.
        system: Fresh.
        split: What is graded; nothing after it is read.
        moment: When lists are made.
        progress: Told the share of the stream that is done.
    """
    return continue_grading(events, GradingRun(system), split, moment, progress)


def continue_grading(
    events: Sequence[ResolvedEvent],
    replay: GradingRun,
    split: Split,
    moment: ListTiming = ListTiming.ON_REQUEST,
    progress: Callable[[float], None] = lambda share: None,
    checkpoints: CheckpointStore | None = None,
) -> SystemOutcomes:
    """Take a replay from where it is to the end: as `grade`, which starts one.

    Args:
        events: In time order; a `PastEvents` is moved on with the replay.
        replay: Fresh, or kept by an earlier call with the same arguments.
        split: What is graded; nothing after it is read.
        moment: When lists are made.
        progress: Told the share of the stream that is done.
        checkpoints: Gets the replay between two events whenever it is due.
    """
    past = events if isinstance(events, PastEvents) else PastEvents(events)
    began = time.perf_counter() - replay.seconds
    for row in range(replay.row, split.stop):
        if row % _TOLD_EVERY == 0:
            progress(row / split.stop)
            if checkpoints is not None and row > replay.row and checkpoints.due():
                replay.row, replay.seconds = row, time.perf_counter() - began
                checkpoints.save(replay)
        _play(replay, row, past, split, moment)
    replay.system.finish()
    replay.row, replay.seconds = split.stop, time.perf_counter() - began
    progress(1.0)
    return replay.outcomes()


def _play(replay: GradingRun, row: int, past: PastEvents, split: Split, moment: ListTiming) -> None:
    """Make the list of one event's user, grade it, then let everything learn the event."""
    event, system = past.everything[row], replay.system
    past.reveal(row)
    before = replay.users.get(event.user_id) or UserState(event.user_id)
    applied = apply_event(before, event)
    if applied.duplicate:
        return
    system.prepare(row)
    state, listed = applied.state, row >= system.lists_from
    if listed:
        ranking = replay.lists.pop(event.user_id, None)
        fresh = ranking is None
        if ranking is None:
            ranking, kept = system.recommend(before, event.ts_ms)
            state = replace(state, proposals=kept.proposals)
        if row >= split.graded and applied.first_touch:
            if fresh and replay.observer is not None:
                replay.observer.observe(system, event.item)
            replay.add(row, ranking, event.item)
    past.reveal(row + 1)
    system.learn(row, before, event, applied.first_touch)
    if listed and moment is ListTiming.AFTER_EVENT:
        replay.lists[event.user_id], state = system.recommend(state, event.ts_ms)
    replay.users[event.user_id] = state
