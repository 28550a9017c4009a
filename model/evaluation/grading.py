"""Prequential evaluation (test, then train): grade the user's list before each event, then learn the event.

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

_PROGRESS_EVENTS = 200


class ListTiming(StrEnum):
    """When the graded list is made: when the next event arrives, or right after the user's previous event.

    The service makes lists after events, so users see `AFTER_EVENT`. Published figures assume `ON_REQUEST`: the
    statistics are newer, and the time since the previous event is known.
    """

    ON_REQUEST = "on-request"
    AFTER_EVENT = "after-event"


def graded_events(events: Sequence[ResolvedEvent], split: Split) -> GradedEvents:
    """Return the graded events of a stream and the state before each of them."""
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
    """The progress of one evaluation; a checkpoint holds it whole.

    Args:
        system: The system that is graded.
        row: Row of the next event.
        users: State of each user, by user id.
        lists: Lists made after events and not graded yet, by user id.
        rows: Graded rows.
        ranks: Rank of the target of each graded row, from 0; -1 if the system did not rank it.
        shown: Up to LISTED items shown for each graded row.
        seconds: Wall-clock seconds so far.
        observer: Sees each fresh list; None for nobody.
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
        """Return the outcomes; call it after the last event."""
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
    """Sees the lists that are graded and changes nothing."""

    def observe(self, system: System, target: int) -> None:
        """Look at the list just made for a graded event, whose item is `target`."""
        ...


class CheckpointStore(Protocol):
    """Stores the state of an evaluation, so that it can be resumed."""

    def due(self) -> bool:
        """Return whether the next checkpoint is due."""
        ...

    def save(self, state: object) -> None:
        """Store a state."""
        ...


def grade(
    events: Sequence[ResolvedEvent],
    system: System,
    split: Split,
    moment: ListTiming = ListTiming.ON_REQUEST,
    progress: Callable[[float], None] = lambda share: None,
) -> SystemOutcomes:
    """Grade one system on a stream and return its outcomes.

    Only first touches of an item by its user are graded. A user who has no list yet is graded on the list that a new
    user gets at that time.

    Args:
        events: In time order; a `PastEvents` is revealed row by row.
        system: A fresh system.
        split: Which rows are graded; rows after it are not read.
        moment: When lists are made.
        progress: Called with the share of the stream that is done, 0 to 1.
    """
    return continue_grading(events, GradingRun(system), split, moment, progress)


def continue_grading(
    events: Sequence[ResolvedEvent],
    run: GradingRun,
    split: Split,
    moment: ListTiming = ListTiming.ON_REQUEST,
    progress: Callable[[float], None] = lambda share: None,
    checkpoints: CheckpointStore | None = None,
) -> SystemOutcomes:
    """Run an evaluation from where it stands to the end; `grade` starts a new one.

    Args:
        events: In time order; a `PastEvents` is revealed row by row.
        run: Fresh, or loaded from a checkpoint of a call with the same arguments.
        split: Which rows are graded; rows after it are not read.
        moment: When lists are made.
        progress: Called with the share of the stream that is done, 0 to 1.
        checkpoints: Stores the run between two events when one is due; None stores nothing.
    """
    past = events if isinstance(events, PastEvents) else PastEvents(events)
    began = time.perf_counter() - run.seconds
    for row in range(run.row, split.stop):
        if row % _PROGRESS_EVENTS == 0:
            progress(row / split.stop)
            if checkpoints is not None and row > run.row and checkpoints.due():
                run.row, run.seconds = row, time.perf_counter() - began
                checkpoints.save(run)
        _play(run, row, past, split, moment)
    run.system.finish()
    run.row, run.seconds = split.stop, time.perf_counter() - began
    progress(1.0)
    return run.outcomes()


def _play(run: GradingRun, row: int, past: PastEvents, split: Split, moment: ListTiming) -> None:
    """Make the list of one event's user, grade it, then let everything learn the event."""
    event, system = past.everything[row], run.system
    past.reveal(row)
    before = run.users.get(event.user_id) or UserState(event.user_id)
    applied = apply_event(before, event)
    if applied.duplicate:
        return
    system.prepare(row)
    state, listed = applied.state, row >= system.lists_from
    if listed:
        ranking = run.lists.pop(event.user_id, None)
        fresh = ranking is None
        if ranking is None:
            ranking, kept = system.recommend(before, event.ts_ms)
            state = replace(state, proposals=kept.proposals)
        if row >= split.graded and applied.first_touch:
            if fresh and run.observer is not None:
                run.observer.observe(system, event.item)
            run.add(row, ranking, event.item)
    past.reveal(row + 1)
    system.learn(row, before, event, applied.first_touch)
    if listed and moment is ListTiming.AFTER_EVENT:
        run.lists[event.user_id], state = system.recommend(state, event.ts_ms)
    run.users[event.user_id] = state
