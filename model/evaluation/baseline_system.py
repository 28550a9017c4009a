"""A baseline as a system: refitted as the log grows and graded like any other system."""

import time
from dataclasses import replace

import numpy as np

from millrace.kernel.user_state import ResolvedEvent, UserState
from millrace.model.baselines.baseline import Baseline, FittedBaseline, top_untouched
from millrace.model.evaluation.lateness import Lateness
from millrace.model.evaluation.outcomes import LISTED
from millrace.model.evaluation.system import Ranking, SystemNotes
from millrace.model.learning.log import GrowingLog
from millrace.streams.catalogue import Catalogue
from millrace.streams.scoring.scorer import RANKED


class BaselineSystem:
    """Ranks the whole catalogue by a baseline's scores; ties go to the lower index.

    Args:
        name: Shown in the report.
        baseline: A fresh baseline.
        catalogue: Tells which items are available.
        lists_from: First row for which lists are made.
        seed: Seed of the fits.
        lag_s: Seconds by which events are learned late; see `Lateness`.
        rate: Events per second that convert `lag_s` into events; None uses event times.
    """

    def __init__(
        self,
        name: str,
        baseline: Baseline,
        catalogue: Catalogue,
        lists_from: int,
        seed: int = 0,
        lag_s: float = 0.0,
        rate: float | None = None,
    ) -> None:
        self.name = name
        self.lists_from = lists_from
        self.notes = SystemNotes()
        self._baseline = baseline
        self._catalogue = catalogue
        self._seed = seed
        self._log = GrowingLog()
        self._fitted_at = 0
        self._late = Lateness(self._learn_event, lag_s, rate)

    def prepare(self, row: int) -> None:
        """Fit a `FittedBaseline` when the log has grown enough."""
        baseline, count = self._baseline, self._log.count
        if row < self.lists_from or not isinstance(baseline, FittedBaseline) or not count:
            return
        if count < self._fitted_at * (1.0 + baseline.refit_share):
            return
        began = time.perf_counter()
        baseline.fit(self._log.table(), self._seed)
        self._fitted_at = count
        self.notes.seconds["learning"] = self.notes.seconds.get("learning", 0.0) + time.perf_counter() - began
        self.notes.counts["fits"] = self.notes.counts.get("fits", 0.0) + 1.0

    def recommend(self, state: UserState, now_ms: int) -> tuple[Ranking, UserState]:
        """Return the best available items that are not touched."""
        scores = self._baseline.scores(self._numbered(state), now_ms)
        items = top_untouched(scores, state, self._catalogue.available, RANKED)
        return Ranking(tuple(items[:LISTED]), np.array(items, np.int32)), state

    def learn(self, row: int, before: UserState, event: ResolvedEvent, first_touch: bool) -> None:
        """Pass the event on, once it is old enough."""
        self._late.learn(before, event)

    def finish(self) -> None:
        """Do nothing: the notes are complete after each event."""

    def _learn_event(self, before: UserState, event: ResolvedEvent) -> None:
        self._baseline.learn(self._numbered(before), event.item, event.value, event.ts_ms)
        self._log.add(event.user_id, event.item, event.value, event.ts_ms, event.weight)

    def _numbered(self, state: UserState) -> UserState:
        """Return the state under its user's number in the log, by which a fitted baseline knows users."""
        return replace(state, user_id=str(self._log.number_of(state.user_id)))
