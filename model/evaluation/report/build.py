"""Puts a report together from the outcomes of systems on the same events."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from millrace.model.evaluation.diversity import DiverseLists
from millrace.model.evaluation.outcomes import GradedEvents, SystemOutcomes
from millrace.model.evaluation.report import slices
from millrace.model.evaluation.report.data_facts import data_facts
from millrace.model.evaluation.report.figures import (
    BaselineFigures,
    Block,
    Bounds,
    DiversityPoint,
    Gap,
    ListShape,
    PredictedRatings,
    PrequentialReport,
    ShownCurve,
    SliceFigures,
)
from millrace.model.evaluation.report.intervals import UserBootstrap, none_of
from millrace.model.evaluation.report.list_figures import diversity, list_figures, shown_share_curve
from millrace.model.evaluation.split import Split
from millrace.model.recorded_stream import RecordedStream

_BLOCKS = 40
# A group with fewer events has a hit rate of pure noise.
_LEAST_EVENTS = 100
# Phases that happen once per list; all others happen once per event.
_LIST_PHASES = frozenset({"candidates", "scoring", "selection"})
_LISTS = "lists"


@dataclass(frozen=True, slots=True)
class Evaluated:
    """One evaluation before it is summed up.

    Args:
        stream: What was replayed.
        split: Its parts.
        graded: The graded events.
        system: Outcomes of the system.
        baselines: Outcomes of the baselines by name.
        predicted_ratings: How well ratings were predicted; None if nobody predicted any.
        leaks: Findings of the leak checks.
        protocol: How it was run.
        diverse: The system's lists at other settings of diversity.
        seed: Of the resamples.
    """

    stream: RecordedStream
    split: Split
    graded: GradedEvents
    system: SystemOutcomes
    baselines: Mapping[str, SystemOutcomes]
    predicted_ratings: Callable[[UserBootstrap], PredictedRatings | None]
    leaks: tuple[str, ...]
    protocol: Mapping[str, Any]
    diverse: DiverseLists | None = None
    seed: int = 0


def build_report(evaluated: Evaluated) -> PrequentialReport:
    """Return the figures of an evaluation."""
    graded, system = evaluated.graded, evaluated.system
    bootstrap = UserBootstrap(graded.users, evaluated.seed)
    cuts = _Slicer(graded, system, evaluated.baselines, bootstrap)
    facts = evaluated.stream.users
    by_activity = slices.by_activity(graded)
    by_genre = slices.by_genre(graded, evaluated.stream.catalogue)
    by_gender, by_age = slices.by_gender(graded, facts), slices.by_age(graded, facts)
    cold = graded.item_counts == 0
    return PrequentialReport(
        system=system.name,
        **_quality(system, bootstrap),
        **_shape(system, evaluated).model_dump(),
        events_graded=len(graded),
        baselines={name: _baseline(one, evaluated, bootstrap) for name, one in evaluated.baselines.items()},
        by_history_length=cuts.figures(slices.by_history_length(graded)),
        first_events_of_users=cuts.figures(slices.first_events(graded)),
        cold_items=cuts.group(cold),
        by_genre=cuts.figures(by_genre),
        by_user_activity=cuts.figures(by_activity),
        by_gap=cuts.figures(slices.by_gap(graded)),
        by_gender=cuts.figures(by_gender),
        by_age=cuts.figures(by_age),
        largest_gaps=cuts.largest_gaps([by_activity, by_gender, by_age, by_genre]),
        predicted_rating=evaluated.predicted_ratings(bootstrap),
        over_time=_blocks(graded, {system.name: system, **evaluated.baselines}),
        shown_curve=_shown_curve(evaluated),
        diversity_curve=_diversity_curve(evaluated),
        seconds_by_phase=dict(system.seconds),
        ms_per_event=ms_per_event(system, evaluated.split.stop),
        counts=dict(system.counts),
        data=data_facts(evaluated.stream, evaluated.split, graded),
        protocol=dict(evaluated.protocol),
        leaks=evaluated.leaks,
    )


def ms_per_event(system: SystemOutcomes, events: int) -> dict[str, float]:
    """Return milliseconds by phase: per list for what makes lists, per event of the stream for everything else."""
    lists = system.counts.get(_LISTS, float(events))
    return {
        phase: 1000.0 * seconds / max(lists if phase in _LIST_PHASES else events, 1.0)
        for phase, seconds in system.seconds.items()
    }


class _Slicer:
    """Sums up groups of events."""

    def __init__(
        self,
        graded: GradedEvents,
        system: SystemOutcomes,
        baselines: Mapping[str, SystemOutcomes],
        bootstrap: UserBootstrap,
    ) -> None:
        self._events = len(graded)
        self._hits = system.hits.astype(np.float64)
        self._gains = system.gains
        self._baselines = {name: one.hits.astype(np.float64) for name, one in baselines.items()}
        self._bootstrap = bootstrap

    def figures(self, cut: slices.Slicing) -> dict[str, SliceFigures]:
        return {label: self.group(mask) for label, mask in cut.groups.items()}

    def group(self, mask: NDArray[np.bool_]) -> SliceFigures:
        hits, gains = self._bootstrap.intervals([self._hits * mask, self._gains * mask], mask)
        if mask.any() and not self._hits[mask].any():
            hits = gains = none_of(int(mask.sum()))  # no resample can have a hit either
        return SliceFigures(
            events=int(mask.sum()),
            share=float(mask.mean()),
            hit_rate_at_10=_mean(self._hits[mask]),
            ndcg_at_10=_mean(self._gains[mask]),
            intervals={"hit_rate_at_10": hits, "ndcg_at_10": gains},
            baselines={name: _mean(values[mask]) for name, values in self._baselines.items()},
        )

    def largest_gaps(self, cuts: list[slices.Slicing]) -> dict[str, Gap]:
        gaps = {cut.by: self._largest_gap(cut) for cut in cuts}
        return {by: gap for by, gap in gaps.items() if gap is not None}

    def _largest_gap(self, cut: slices.Slicing) -> Gap | None:
        rates = {label: _mean(self._hits[mask]) for label, mask in cut.groups.items() if mask.sum() >= _LEAST_EVENTS}
        if len(rates) < 2:
            return None
        lowest, highest = min(rates, key=rates.__getitem__), max(rates, key=rates.__getitem__)
        interval = self._bootstrap.group_difference(self._hits, cut.groups[highest], cut.groups[lowest])
        certain = "" if interval.low > 0.0 else " (not beyond chance)"
        return Gap(
            lowest=lowest,
            highest=highest,
            hit_rate_difference=rates[highest] - rates[lowest],
            interval=interval,
            sentence=f"By {cut.by}, the hit rate at 10 is highest for {highest} ({rates[highest]:.3f}) and lowest for "
            f"{lowest} ({rates[lowest]:.3f}): a gap of {rates[highest] - rates[lowest]:.3f}{certain}.",
        )


def _quality(system: SystemOutcomes, bootstrap: UserBootstrap) -> dict[str, Any]:
    columns = {
        "hit_rate_at_10": system.hits.astype(np.float64),
        "ndcg_at_10": system.gains,
        "mrr": system.reciprocal_ranks,
    }
    found = bootstrap.intervals(list(columns.values()), np.ones(len(system.ranks)))
    intervals: dict[str, Bounds] = dict(zip(columns, found, strict=True))
    figures = {name: _mean(values) for name, values in columns.items()}
    return {**figures, "intervals": intervals, "seconds": system.seconds.get("all", 0.0)}


def _baseline(baseline: SystemOutcomes, evaluated: Evaluated, bootstrap: UserBootstrap) -> BaselineFigures:
    ours, other = evaluated.system.hits.astype(np.float64), baseline.hits.astype(np.float64)
    return BaselineFigures(
        **_quality(baseline, bootstrap),
        **_shape(baseline, evaluated).model_dump(),
        hit_rate_behind=_mean(ours) - _mean(other),
        hit_rate_behind_interval=bootstrap.difference(ours, other, np.ones(len(ours))),
    )


def _shape(system: SystemOutcomes, evaluated: Evaluated) -> ListShape:
    figures = list_figures(system.shown, _item_events(evaluated), evaluated.stream.catalogue)
    return ListShape(
        coverage=figures.coverage,
        novelty=figures.novelty,
        list_diversity=figures.diversity,
        concentration=figures.concentration,
    )


def _item_events(evaluated: Evaluated) -> NDArray[np.int64]:
    items = [event.item for event in evaluated.stream.events[: evaluated.split.stop]]
    return np.bincount(items, minlength=evaluated.stream.catalogue.max_index + 1)


def _blocks(graded: GradedEvents, systems: Mapping[str, SystemOutcomes]) -> list[Block]:
    parts = [part for part in np.array_split(np.arange(len(graded)), min(_BLOCKS, len(graded))) if len(part)]
    return [
        Block(
            last_row=int(graded.rows[part[-1]]),
            ts_ms=int(graded.ts_ms[part[-1]]),
            events=len(part),
            hit_rate_at_10={name: _mean(one.hits[part]) for name, one in systems.items()},
            ndcg_at_10={name: _mean(one.gains[part]) for name, one in systems.items()},
        )
        for part in parts
    ]


def _shown_curve(evaluated: Evaluated) -> ShownCurve:
    items = int(evaluated.stream.catalogue.available.sum())
    systems = {evaluated.system.name: evaluated.system.shown} | {n: s.shown for n, s in evaluated.baselines.items()}
    # What people really did, as a list of one item each.
    systems["the events themselves"] = evaluated.graded.items[:, None]
    curves = {name: shown_share_curve(shown, items) for name, shown in systems.items()}
    shares = next(iter(curves.values()))[0]
    return ShownCurve(catalogue=shares.tolist(), shown={name: curve[1].tolist() for name, curve in curves.items()})


def _diversity_curve(evaluated: Evaluated) -> list[DiversityPoint]:
    """Return one point for each setting; intervals are of the hit rate, by user."""
    diverse = evaluated.diverse
    if diverse is None:
        return []
    bootstrap = UserBootstrap(evaluated.graded.users[diverse.events], evaluated.seed)
    intervals = bootstrap.intervals([hits.astype(np.float64) for hits in diverse.hits], np.ones(len(diverse.events)))
    return [
        DiversityPoint(
            setting=setting,
            list_diversity=diversity(shown, evaluated.stream.catalogue.genres),
            hit_rate_at_10=_mean(hits),
            interval=interval,
        )
        for setting, shown, hits, interval in zip(diverse.settings, diverse.shown, diverse.hits, intervals, strict=True)
    ]


def _mean(values: NDArray[Any]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
