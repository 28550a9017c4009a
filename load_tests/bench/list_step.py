"""`python -m millrace.load_tests.bench.list_step PATH`: processor time per event and per list.

The list step is measured by itself, and between scorings in the same process: these read megabytes of weights, after
which the step finds little of what it needs in the processor's caches. A service has its model server elsewhere.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from millrace.kernel.user_state import ResolvedEvent, UserState, apply_event
from millrace.model.configuration import ModelConfiguration
from millrace.model.learning.model_learner import ModelLearner
from millrace.model.recorded_stream import RecordedStream, load_stream
from millrace.streams.ranking import CandidateStep, FusionWeights
from millrace.streams.scoring.onnx import OnnxScorer
from millrace.streams.scoring.scorer import PROPOSALS
from millrace.streams.statistics import ItemStatistics

# Lists alone and lists between scorings alternate in runs of this many.
_TURN = 200
_LEARN, _ALONE, _BETWEEN, _SCORE = "statistics update", "list", "list between scorings", "scoring"


class Stopwatch:
    """Adds up processor time of this thread.

    Attributes:
        times_us: Name -> microseconds of each call.
    """

    def __init__(self) -> None:
        self.times_us: dict[str, list[float]] = {}

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Measure one call."""
        began = time.thread_time()
        yield
        self.times_us.setdefault(name, []).append(1e6 * (time.thread_time() - began))

    def table(self) -> Table:
        """Return what was measured; the first turn of each kind compiles and warms up, and does not count."""
        table = Table("microseconds of processor time", "mean", "median", "p10", "p99", title_justify="left")
        for name, times in self.times_us.items():
            counted = np.array(times[_TURN:])
            table.add_row(name, *(f"{value:.0f}" for value in (counted.mean(), *np.percentile(counted, (50, 10, 99)))))
        return table


def measure(stream: RecordedStream, first: int, lists: int, seed: int) -> Stopwatch:
    """Replay a stream and make a list before each of some events.

    Args:
        stream: What is replayed.
        first: Row of the first list.
        lists: How many lists.
        seed: Of the network's proposals, which are drawn.
    """
    statistics, watch = ItemStatistics(), Stopwatch()
    step, weights = CandidateStep(statistics, stream.catalogue), FusionWeights.default()
    scorer, rng = _untrained_scorer(stream), np.random.default_rng(seed)
    users: dict[str, UserState] = {}
    for row, event in enumerate(stream.events[: first + lists]):
        before = users.get(event.user_id) or UserState(event.user_id)
        if row >= first:
            drawn = rng.integers(1, stream.catalogue.max_index, PROPOSALS).astype(np.int32)
            _make_list(row, event, replace(before, proposals=drawn), step, weights, scorer, watch)
            with watch.measure(_LEARN):
                statistics.update(before, event.item, event.value, event.ts_ms, event.weight)
        else:
            statistics.update(before, event.item, event.value, event.ts_ms, event.weight)
        users[event.user_id] = apply_event(before, event).state
    return watch


def _make_list(
    row: int,
    event: ResolvedEvent,
    state: UserState,
    step: CandidateStep,
    weights: FusionWeights,
    scorer: OnnxScorer,
    watch: Stopwatch,
) -> None:
    scored = row // _TURN % 2 == 1
    with watch.measure(_BETWEEN if scored else _ALONE):
        request = step.build([state], [event.ts_ms], weights).request()
    if scored:
        with watch.measure(_SCORE):
            scorer.score_now("network", request)


def _untrained_scorer(stream: RecordedStream) -> OnnxScorer:
    """Return a scorer of a network with random weights: they cost as much as learned ones."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        ModelLearner(stream.items(), ModelConfiguration()).write(path)
        scorer = OnnxScorer(paths={"network": path}, threads=1)
        scorer.load("network")
    return scorer


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m millrace.load_tests.bench.list_step", description=__doc__)
    parser.add_argument("path", type=Path, help="MovieLens folder")
    parser.add_argument("--first", type=float, default=0.6, help="share of the stream before the first list")
    parser.add_argument("--lists", type=int, default=6_000, help="how many lists to make")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(argv)
    stream = load_stream(given.path, given.seed)
    watch = measure(stream, round(given.first * len(stream.events)), given.lists, given.seed)
    Console().print(watch.table())


if __name__ == "__main__":
    main()
