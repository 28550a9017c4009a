"""Learning a little at a time against not at all and against from the start: quality and seconds at the same points.

All variants are the served system with statistics that learn every event; they differ in the weights of encoder and
ranker. These are learned at the beginning of the graded part and then, at evenly spaced points, not at all (frozen),
from what is new with replay (incremental), or anew from everything (full).
"""

from collections import deque
from dataclasses import replace
from typing import Any

import numpy as np
from rich.console import Console

from millrace.kernel.errors import ConfigurationError
from millrace.kernel.progress import share_bars
from millrace.kernel.user_state import ResolvedEvent, UserState
from millrace.model.evaluation.grading import graded_events
from millrace.model.evaluation.options import EvaluateOptions
from millrace.model.evaluation.outcomes import GradedEvents, SystemOutcomes
from millrace.model.evaluation.protocols.steered import SteeredSystem
from millrace.model.evaluation.protocols.tables import (
    RANKING_COLUMNS,
    FigureTable,
    TablesReport,
    ranking_figures,
    ranking_row,
)
from millrace.model.evaluation.report.intervals import UserBootstrap
from millrace.model.evaluation.runs import run_all, split_of
from millrace.model.evaluation.served_system import ServedOptions, ServedSystem
from millrace.model.evaluation.split import Split
from millrace.model.evaluation.system import System
from millrace.model.evaluation.systems import served_options
from millrace.model.learning.moments import Moment
from millrace.model.recorded_stream import RecordedStream, load_stream
from millrace.streams.catalogue import Catalogue

NAME = "incremental"
FROZEN, INCREMENTAL, FULL = "frozen", "incremental", "full"
VARIANTS = (FULL, INCREMENTAL, FROZEN)
# As many moments as a training from the start learns the ranker from.
_KEPT_MOMENTS = 7_000


def points_of(split: Split, refreshes: int) -> tuple[int, ...]:
    """Return the first graded row and the rows of the later learnings, evenly spaced over the graded part."""
    return tuple(
        split.graded + (split.stop - split.graded) * number // (refreshes + 1) for number in range(refreshes + 1)
    )


class IncrementalSystem(SteeredSystem):
    """The served system; weights are learned at given points.

    Args:
        catalogue: Items.
        options: How it is run.
        variant: One of VARIANTS.
        points: Rows; the first learning is the same for all variants.
    """

    def __init__(self, catalogue: Catalogue, options: ServedOptions, variant: str, points: tuple[int, ...]) -> None:
        super().__init__(catalogue, options, variant)
        self._variant = variant
        self._points = points
        # Everything learned so far, in order; with its moment where that is among the newest.
        self._events: list[ResolvedEvent] = []
        self._moments: deque[tuple[int, Moment]] = deque(maxlen=_KEPT_MOMENTS)

    def prepare(self, row: int) -> None:
        """Learn weights as the variant has it."""
        if row < self._points[0]:
            self.prepare_at_rhythm(row)
        elif row in self._points:
            before = sum(self.learner.seconds.values())
            if row == self._points[0] or self._variant == INCREMENTAL:
                self.refresh()
            elif self._variant == FULL:
                before = 0.0
                self._learn_anew()
            self.notes.seconds[f"point_{self._points.index(row)}"] = sum(self.learner.seconds.values()) - before
            self.learns_weights = self._variant != FROZEN

    def learn(self, row: int, before: UserState, event: ResolvedEvent, first_touch: bool) -> None:
        """Learn an event, and keep what a learning from the start needs."""
        if self._variant == FULL:
            request = self._asked.get(event.user_id)
            if request is not None and first_touch:
                self._moments.append((len(self._events), Moment(request, event.item)))
            self._events.append(event)
        super().learn(row, before, event, first_touch)

    def _learn_anew(self) -> None:
        """Train a fresh network on everything: the encoder first on what lies before the ranker's moments."""
        spare = ServedSystem(self._catalogue, self._options)
        spare.finish()
        self.learner = spare.learner
        moments = dict(self._moments)
        first = min(moments, default=len(self._events))
        for row, event in enumerate(self._events):
            if row == first:
                self.learner.refresh_encoder()
            if row in moments:
                self.learner.add_moment(moments[row])
            self.learner.add_event(event.user_id, event.item, event.value, event.ts_ms)
            if row > first and (row - first) % self.learner.rhythm.ranker_events == 0:
                self.learner.refresh_ranker()
        self.refresh()


def make_variant(name: str, stream: RecordedStream, split: Split, options: EvaluateOptions) -> System:
    """Return a variant, fresh."""
    served = served_options(split, options)
    return IncrementalSystem(stream.catalogue, served, name, points_of(split, options.refreshes))


def run(options: EvaluateOptions, console: Console) -> TablesReport:
    """Grade the three variants on the same events.

    Args:
        options: `refreshes` is the number of later learnings.
        console: Shows progress.

    Raises:
        ConfigurationError: No folder was given, or it cannot be used.
    """
    if options.path is None:
        raise ConfigurationError("A MovieLens folder is missing: millrace evaluate incremental PATH.")
    stream = load_stream(options.path, options.seed)
    split = split_of(stream, options)
    with share_bars(console, transient=True) as bars:
        tasks = {name: bars.add_task(name, total=1.0) for name in VARIANTS}
        results = run_all(
            VARIANTS,
            stream,
            replace(options, baselines=()),
            make_variant,
            lambda name, share: bars.update(tasks[name], completed=share),
        )
    outcomes = {name: result.outcomes for name, result in results.items()}
    graded = graded_events(stream.events, split)
    problems = tuple(finding for result in results.values() for finding in result.leaks)
    return _report(options, graded, outcomes, points_of(split, options.refreshes), problems)


def _report(
    options: EvaluateOptions,
    graded: GradedEvents,
    outcomes: dict[str, SystemOutcomes],
    points: tuple[int, ...],
    problems: tuple[str, ...],
) -> TablesReport:
    bootstrap = UserBootstrap(graded.users, options.seed)
    variants = {
        name: ranking_figures(one.ranks.tolist(), bootstrap) | {"seconds_at_points": _seconds(one, len(points))}
        for name, one in outcomes.items()
    }
    stretches = _stretches(graded, outcomes, points)
    figures: dict[str, Any] = {
        "events_graded": len(graded),
        "points": list(points),
        "variants": variants,
        "stretches": stretches,
        "seed": options.seed,
    }
    columns = (*RANKING_COLUMNS, "seconds of learning")
    rows = tuple(
        (*ranking_row(name, one), f"{sum(one['seconds_at_points'][1:]):.1f}") for name, one in variants.items()
    )
    tables = (
        FigureTable(f"{len(graded):,} graded events, {len(points) - 1} learnings after the first", columns, rows),
        _by_stretch(stretches, variants),
    )
    return TablesReport(NAME, figures, tables, ("Statistics learn every event in all variants.",), problems)


def _seconds(outcomes: SystemOutcomes, points: int) -> list[float]:
    return [outcomes.seconds.get(f"point_{number}", 0.0) for number in range(points)]


def _stretches(
    graded: GradedEvents, outcomes: dict[str, SystemOutcomes], points: tuple[int, ...]
) -> list[dict[str, Any]]:
    """Return the figures between one point and the next."""
    number_of = np.searchsorted(points, graded.rows, side="right") - 1
    return [
        {
            "first_row": first,
            "events": int((number_of == number).sum()),
            "hit_rate_at_10": {name: _mean(one.hits[number_of == number]) for name, one in outcomes.items()},
            "ndcg_at_10": {name: _mean(one.gains[number_of == number]) for name, one in outcomes.items()},
        }
        for number, first in enumerate(points)
    ]


def _mean(values: np.ndarray[Any, Any]) -> float:
    return float(values.mean()) if len(values) else 0.0


def _by_stretch(stretches: list[dict[str, Any]], variants: dict[str, dict[str, Any]]) -> FigureTable:
    columns = ("from row", "events", *(f"{what} {name}" for name in variants for what in ("NDCG@10", "s")))
    rows = []
    for number, stretch in enumerate(stretches):
        cells = [f"{stretch['first_row']:,}", f"{stretch['events']:,}"]
        for name, figures in variants.items():
            cells += [f"{stretch['ndcg_at_10'][name]:.4f}", f"{figures['seconds_at_points'][number]:.1f}"]
        rows.append(tuple(cells))
    return FigureTable("From each point to the next, and the seconds of learning at it", columns, tuple(rows))
