"""`python -m millrace.model.evaluation.study PATH`: every baseline and every ablation on the same events.

The rows of docs/explanation/evaluation.md. Finished systems are kept in the work folder, so an interrupted study goes
on; so are the trained encoders, which the variants then share: their seconds leave that training out.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from pathlib import Path

import numpy as np
from rich.console import Console

from millrace.kernel.progress import share_bars
from millrace.model.baselines.by_name import BASELINES
from millrace.model.evaluation.grading import graded_events
from millrace.model.evaluation.options import EvaluateOptions
from millrace.model.evaluation.outcomes import GradedEvents, SystemOutcomes
from millrace.model.evaluation.report.intervals import UserBootstrap
from millrace.model.evaluation.runs import identity_of, run_all, split_of
from millrace.model.evaluation.served_system import ABLATIONS
from millrace.model.evaluation.split import Split
from millrace.model.evaluation.system import System
from millrace.model.evaluation.systems import SERVED, make_system, served_options
from millrace.model.recorded_stream import RecordedStream, load_stream

_WITHOUT = "without "


@dataclass(frozen=True, slots=True)
class StudyRow:
    """One line of the table.

    Args:
        name: System.
        hit_rate: HR@10.
        low: Lower bound of its 95 % interval.
        high: Upper bound.
        ndcg: NDCG@10.
        first_ever: HR@10 on items without an event before.
        difference: HR@10 less that of the whole system.
        worse: Whether the paired 95 % interval of the difference lies below 0.
        seconds: Wall-clock seconds.
    """

    name: str
    hit_rate: float
    low: float
    high: float
    ndcg: float
    first_ever: float
    difference: float
    worse: bool
    seconds: float

    def markdown(self) -> str:
        """Return the line in Markdown."""
        change = "" if self.name == SERVED else f"{self.difference:+.4f}{'*' if self.worse else ''}"
        interval = f"{self.low:.4f}-{self.high:.4f}"
        return (
            f"| {self.name} | {self.hit_rate:.4f} | {interval} | {self.ndcg:.4f} | {self.first_ever:.4f} | {change} "
            f"| {self.seconds:.0f} |"
        )


HEADER = "| system | HR@10 | 95 % interval | NDCG@10 | first-ever HR@10 | difference | seconds |\n|" + "---|" * 7


def make_variant(
    name: str, stream: RecordedStream, split: Split, options: EvaluateOptions, encoder_cache: Path | None = None
) -> System:
    """Return a baseline, the served system, or the served system without a part.

    Args:
        name: Of a baseline, the served system, or `without PART`.
        stream: As `MakeSystem` has it.
        split: Its parts.
        options: How systems are run.
        encoder_cache: Folder of trained encoders. All variants share them: what is left out never changes what an
            encoder learns from.
    """
    if name != SERVED and not name.startswith(_WITHOUT):
        return make_system(name, stream, split, options)
    from millrace.model.evaluation.served_system import ServedSystem  # it imports TensorFlow

    without = frozenset[str]() if name == SERVED else frozenset([name.removeprefix(_WITHOUT)])
    return ServedSystem(
        stream.catalogue, replace(served_options(split, options), without=without, encoder_cache=encoder_cache), name
    )


def _encoder_folder(work: Path, stream: RecordedStream, options: EvaluateOptions) -> Path:
    """Return the folder of the encoders of this study: other options, data or code have another."""
    digest = blake2b(identity_of("encoders", stream, options).encode(), digest_size=8).hexdigest()
    return work / f"encoders-{digest}"


def rows_of(graded: GradedEvents, outcomes: dict[str, SystemOutcomes], seed: int) -> list[StudyRow]:
    """Return a row for each system; differences are paired over users."""
    bootstrap = UserBootstrap(graded.users, seed)
    every, first = np.ones(len(graded), bool), graded.item_counts == 0
    whole = outcomes[SERVED].hits.astype(np.float64)
    rows = []
    for name, outcome in outcomes.items():
        hits = outcome.hits.astype(np.float64)
        (interval,) = bootstrap.intervals([hits], every)
        rows.append(
            StudyRow(
                name,
                float(hits.mean()),
                interval.low,
                interval.high,
                float(outcome.gains.mean()),
                float(hits[first].mean()) if first.any() else 0.0,
                float(hits.mean() - whole.mean()),
                bootstrap.difference(hits, whole, every).high < 0.0,
                outcome.seconds["all"],
            )
        )
    return rows


def main(argv: Sequence[str] | None = None) -> None:
    """Run the study and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--events", type=int, help="graded events, after training and warm-up; default: all")
    parser.add_argument("--systems", nargs="+", help="names of baselines, or `without PART`; default: all")
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="keep what is done here and go on from it")
    parser.add_argument("--report", type=Path, help="write the rows as JSON")
    given = parser.parse_args(argv)
    options = EvaluateOptions(
        path=given.path,
        seed=given.seed,
        events=given.events,
        parallel=given.parallel,
        work=given.work,
        resume=given.work is not None,
    )
    stream = load_stream(given.path, given.seed)
    everything = [*(f"{_WITHOUT}{part}" for part in ABLATIONS), *reversed(list(BASELINES))]
    names = [SERVED, *(given.systems or everything)]
    make = (
        partial(make_variant, encoder_cache=_encoder_folder(given.work, stream, options))
        if given.work
        else make_variant
    )
    with share_bars(Console(stderr=True)) as bars:
        tasks = {name: bars.add_task(name, total=1.0) for name in names}
        results = run_all(names, stream, options, make, lambda name, share: bars.update(tasks[name], completed=share))
    graded = graded_events(stream.events, split_of(stream, options))
    rows = rows_of(graded, {name: result.outcomes for name, result in results.items()}, given.seed)
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"{len(graded)} graded events; * = worse than {SERVED}, 95 % interval of the difference below 0")
    console.print("\n".join([HEADER, *(row.markdown() for row in rows)]), markup=False)
    if given.report:
        given.report.write_text(json.dumps([{name: getattr(row, name) for name in StudyRow.__slots__} for row in rows]))


if __name__ == "__main__":
    main()
