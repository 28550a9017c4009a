"""Test-then-train over a whole stream, with baselines on the same events."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from rich.console import Console

from millrace.kernel.errors import ConfigurationError
from millrace.kernel.progress import share_bars
from millrace.model.evaluation.grading import graded_events
from millrace.model.evaluation.options import EvaluateOptions
from millrace.model.evaluation.outcomes import GradedEvents, SystemOutcomes
from millrace.model.evaluation.report.build import Evaluated, build_report
from millrace.model.evaluation.report.figures import PredictedRatings, PrequentialReport
from millrace.model.evaluation.report.intervals import UserBootstrap
from millrace.model.evaluation.report.rating_figures import GlobalMean, compare, predicted_first
from millrace.model.evaluation.report.table import show_report
from millrace.model.evaluation.runs import MakeSystem, run_all, split_of
from millrace.model.evaluation.split import Split
from millrace.model.evaluation.systems import SERVED, make_system
from millrace.model.rating.bias import BiasModel
from millrace.model.recorded_stream import RecordedStream, load_stream

# Options that change nothing about the figures.
_NOT_PART_OF_IT = frozenset({"parallel", "work", "resume", "sequences", "train", "test", "cut"})


@dataclass(frozen=True, slots=True)
class PrequentialResult:
    """A report that can show itself.

    Args:
        report: The figures.
    """

    report: PrequentialReport

    @property
    def problems(self) -> tuple[str, ...]:
        """Findings of the leak checks."""
        return self.report.leaks

    def as_json(self) -> dict[str, Any]:
        """Return the figures."""
        return self.report.model_dump(mode="json")

    def show(self, console: Console) -> None:
        """Print the table."""
        show_report(self.report, console)

    def page(self) -> str:
        """Return the plots as HTML."""
        from millrace.model.evaluation.report.page import html_page  # it imports matplotlib

        return html_page(self.report)


def run(options: EvaluateOptions, console: Console, make: MakeSystem = make_system) -> PrequentialResult:
    """Grade the system and the baselines.

    Args:
        options: How.
        console: Shows progress.
        make: Makes the systems.

    Raises:
        ConfigurationError: No folder was given, or it cannot be used.
    """
    if options.path is None:
        raise ConfigurationError("A MovieLens folder is missing: millrace evaluate prequential PATH.")
    stream = load_stream(options.path, options.seed)
    split = split_of(stream, options)
    names = (SERVED, *options.baselines)
    with share_bars(console) as bars:
        tasks = {name: bars.add_task(name, total=1.0) for name in names}
        results = run_all(names, stream, options, make, lambda name, share: bars.update(tasks[name], completed=share))
    graded = graded_events(stream.events, split)
    outcomes = {name: result.outcomes for name, result in results.items()}
    system = outcomes.pop(SERVED)
    return PrequentialResult(
        build_report(
            Evaluated(
                stream=stream,
                split=split,
                graded=graded,
                system=system,
                baselines=outcomes,
                predicted_ratings=lambda bootstrap: _ratings(stream, split, graded, system, bootstrap),
                leaks=tuple(finding for result in results.values() for finding in result.leaks),
                protocol=protocol_facts(options, split),
                diverse=results[SERVED].diverse,
                seed=options.seed,
            )
        )
    )


def protocol_facts(options: EvaluateOptions, split: Split) -> dict[str, Any]:
    """Return what was asked for and which rows were for what."""
    asked = {field.name: getattr(options, field.name) for field in fields(options)}
    facts = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in asked.items()
        if name not in _NOT_PART_OF_IT
    }
    return facts | {"first_warm_up_row": split.warm_up, "first_graded_row": split.graded, "stop_row": split.stop}


def _ratings(
    stream: RecordedStream, split: Split, graded: GradedEvents, system: SystemOutcomes, bootstrap: UserBootstrap
) -> PredictedRatings | None:
    others: Mapping[str, Any] = {"bias": BiasModel(), "mean": GlobalMean()}
    beside = predicted_first(stream.events, graded, others)
    return compare(system.predicted, beside["bias"], beside["mean"], graded, split.stop, bootstrap)
