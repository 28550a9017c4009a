"""Leave-one-out on sequences: each user's last item is ranked among the whole catalogue, as SASRec is graded.

The figures on the test items are the protocol's; those on the validation items come from the same systems before they
learned them. An item that the user has had is never a candidate; a target that the user has had before is not graded.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

from millrace.kernel.errors import ConfigurationError
from millrace.kernel.progress import share_bars
from millrace.kernel.user_state import ResolvedEvent, UserState, apply_event
from millrace.model.baselines.by_name import BASELINES, BaselineSetup
from millrace.model.evaluation.options import EvaluateOptions
from millrace.model.evaluation.protocols.item_sequences import (
    HeldOutEvents,
    LeaveOneOut,
    Sequences,
    leave_one_out,
    read_sequences,
)
from millrace.model.evaluation.protocols.sequence_systems import BaselineOnSequences, SequenceSystem, ServedOnSequences
from millrace.model.evaluation.protocols.tables import (
    RANKING_COLUMNS,
    FigureTable,
    TablesReport,
    ranking_figures,
    ranking_row,
)
from millrace.model.evaluation.report.intervals import UserBootstrap
from millrace.model.evaluation.sampled import NegativeSampler, SampledGrades
from millrace.model.evaluation.served_system import ServedOptions
from millrace.model.evaluation.systems import configuration_of
from millrace.streams.catalogue import Catalogue

NAME = "leave-one-out"
_REMARKS = (
    "Times are artificial: users advance in parallel by the share of their sequence, every gap is 0 and every rating "
    "the same, so that time, rating and content features say nothing.",
    "Whole catalogue, items of the history excluded, ties to the lower index; 95 % intervals by user.",
)
_TOLD_EVERY = 2_000
_Moments = list[tuple[UserState, ResolvedEvent]]


@dataclass(slots=True)
class _Graded:
    """What one system did on the held-out items of all users."""

    places: list[int] = field(default_factory=list)
    recalled: int = 0
    sampled: SampledGrades | None = None
    seconds: float = 0.0


class _Course:
    """All systems on the same sequences.

    Args:
        systems: Fresh.
        parts: The split sequences.
        sampled: Negatives besides, 0 for none.
        catalogue: Items.
        bars: Progress.
        seed: Of the negatives.
    """

    def __init__(
        self,
        systems: Sequence[SequenceSystem],
        parts: LeaveOneOut,
        sampled: int,
        catalogue: Catalogue,
        bars: Progress,
        seed: int,
    ) -> None:
        self._systems = systems
        self._parts = parts
        self._sampled = sampled
        self._catalogue = catalogue
        self._bars = bars
        self._seed = seed
        self._states: dict[str, UserState] = {}
        self.seconds = {system.name: 0.0 for system in systems}

    def learn_training(self) -> None:
        """Let every system learn the training stream, event by event."""
        stream = self._parts.training
        task = self._bars.add_task("training stream", total=len(stream))
        for row, event in enumerate(stream):
            if row % _TOLD_EVERY == 0:
                self._bars.update(task, completed=row)
            before = self._states.get(event.user_id) or UserState(event.user_id)
            applied = apply_event(before, event)
            for system in self._systems:
                began = time.perf_counter()
                system.learn(row, before, event, applied.first_touch)
                self.seconds[system.name] += time.perf_counter() - began
            self._states[event.user_id] = applied.state
        self._bars.update(task, completed=len(stream))
        for system in self._systems:
            began = time.perf_counter()
            system.trained()
            self.seconds[system.name] += time.perf_counter() - began

    def grade(self, held_out: HeldOutEvents, what: str) -> tuple[list[ResolvedEvent], dict[str, _Graded]]:
        """Rank the held-out item of every user, learning nothing; returns the graded events and what came of them."""
        moments = self._moments(held_out)
        graded = [event for before, event in moments if not (before.touched == event.item).any()]
        rows = [(before, event) for before, event in moments if not (before.touched == event.item).any()]
        return graded, {system.name: self._grade(system, rows, what) for system in self._systems}

    def learn_held_out(self, held_out: HeldOutEvents) -> None:
        """Let every system learn the held-out items; histories advance."""
        moments = self._moments(held_out)
        for system in self._systems:
            began = time.perf_counter()
            system.learn_held_out(moments)
            self.seconds[system.name] += time.perf_counter() - began
        for before, event in moments:
            self._states[event.user_id] = apply_event(before, event).state

    def _moments(self, held_out: HeldOutEvents) -> _Moments:
        return [(self._states[event.user_id], event) for event in held_out.events]

    def _grade(self, system: SequenceSystem, moments: _Moments, what: str) -> _Graded:
        task = self._bars.add_task(f"{what}: {system.name}", total=len(moments))
        graded, began = _Graded(), time.perf_counter()
        if self._sampled:
            graded.sampled = SampledGrades(NegativeSampler(self._catalogue.available, self._sampled, self._seed))
        for number, (before, event) in enumerate(moments):
            graded.places.append(system.rank(before, event.ts_ms).place_of(event.item))
            if isinstance(system, ServedOnSequences):
                graded.recalled += system.was_candidate(before, event.item)
            if graded.sampled is not None:
                graded.sampled.add(system, before, event.ts_ms, event.item, number)
            self._bars.advance(task)
        graded.seconds = time.perf_counter() - began
        self.seconds[system.name] += graded.seconds
        return graded


def run(options: EvaluateOptions, console: Console) -> TablesReport:
    """Grade the system and the baselines.

    Args:
        options: `sequences` names the file.
        console: Shows progress.

    Raises:
        ConfigurationError: There is no file of sequences, or it cannot be used.
    """
    if options.sequences is None:
        raise ConfigurationError(
            "A file with lines 'user item' in order of time is missing: millrace evaluate leave-one-out FILE."
        )
    sequences = read_sequences(options.sequences)
    parts = leave_one_out(sequences, options.seed)
    catalogue = sequences.catalogue()
    with share_bars(console, transient=True) as bars:
        tasks: dict[str, Any] = {}

        def show(phase: str, share: float) -> None:
            if phase not in tasks:
                tasks[phase] = bars.add_task(phase, total=1.0)
            bars.update(tasks[phase], completed=share)

        served = ServedOnSequences(catalogue, parts, _served(options, parts), show)
        setup = BaselineSetup(catalogue.max_index + 1, options.seed)
        baselines = [
            BaselineOnSequences(name, BASELINES[name](setup), catalogue, options.seed) for name in options.baselines
        ]
        course = _Course([served, *baselines], parts, options.sampled, catalogue, bars, options.seed)
        course.learn_training()
        validation = course.grade(parts.validation, "validation")
        course.learn_held_out(parts.validation)
        test = course.grade(parts.test, "test")
        served.finish()
    return _report(options, sequences, served, course.seconds, {"test": test, "validation": validation})


def _served(options: EvaluateOptions, parts: LeaveOneOut) -> ServedOptions:
    return ServedOptions(
        training_end=len(parts.training),
        without=frozenset(options.without),
        configuration=configuration_of(options),
        request_time=False,
        seed=options.seed,
    )


def _report(
    options: EvaluateOptions,
    sequences: Sequences,
    served: ServedOnSequences,
    seconds: dict[str, float],
    parts: dict[str, tuple[list[ResolvedEvent], dict[str, _Graded]]],
) -> TablesReport:
    figures: dict[str, Any] = {}
    tables, first = [], served.learner.first_training
    for part, (events, graded) in parts.items():
        bootstrap = UserBootstrap(np.arange(len(events), dtype=np.int32), options.seed)
        systems = {name: _figures(one, bootstrap) for name, one in graded.items()}
        own = systems.pop(served.name)
        own["candidate_recall"] = graded[served.name].recalled / max(len(events), 1)
        part_figures = {**own, "events_graded": len(events), "baselines": systems}
        figures |= part_figures if part == "test" else {part: part_figures}
        tables += _tables(part, len(events), {served.name: own, **systems})
    figures |= {
        "users": len(sequences),
        "items": len(sequences.item_ids),
        "events": sequences.events,
        "encoder_epochs": first.epochs if first else 0,
        "encoder_gains_by_round": list(first.gains) if first else [],
        "seconds": seconds[served.name],
        "seconds_by_system": seconds,
        "seconds_by_phase": dict(served.notes.seconds),
        "seed": options.seed,
    }
    recall = f"The candidates held {figures['candidate_recall']:.1%} of the test items; the encoder was trained for "
    remarks = (*_REMARKS, f"{recall}{figures['encoder_epochs']} epochs, chosen by the validation items.")
    return TablesReport(NAME, figures, tuple(tables), remarks)


def _figures(graded: _Graded, bootstrap: UserBootstrap) -> dict[str, Any]:
    figures = ranking_figures(graded.places, bootstrap)
    return figures | ({"sampled": graded.sampled.figures()} if graded.sampled else {})


def _tables(part: str, events: int, systems: dict[str, dict[str, Any]]) -> list[FigureTable]:
    rows = tuple(ranking_row(name, figures) for name, figures in systems.items())
    tables = [FigureTable(f"{part.capitalize()} items of {events:,} users, whole catalogue", RANKING_COLUMNS, rows)]
    if all("sampled" in figures for figures in systems.values()):
        tables.append(_sampled_table(part, {name: figures["sampled"] for name, figures in systems.items()}))
    return tables


def _sampled_table(part: str, systems: dict[str, dict[str, Any]]) -> FigureTable:
    columns = ("", "sampled HR@10", "sampled NDCG@10", "sampled MRR")
    names = ("sampled_hit_rate_at_10", "sampled_ndcg_at_10", "sampled_mrr")
    rows = tuple((name, *(f"{figures[column]:.4f}" for column in names)) for name, figures in systems.items())
    negatives = next(iter(systems.values()))["negatives"]
    return FigureTable(f"{part.capitalize()} items among {negatives} sampled negatives only", columns, rows)
