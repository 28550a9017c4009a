"""`python -m model.prequential_report PATH`: hit rates of counts and baselines on a recorded stream, as a table."""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from model.baselines import BASELINES, BaselineSetup, FittedBaseline
from model.baselines.refitting import Refitting
from model.contenders import BaselineContender, Contender, CountRanker
from model.metrics import RankingMetrics
from model.prequential import GradedPart, Moment, evaluate
from model.stream import RecordedStream, load_stream
from streams.ranking import CONTEXT_NAMES, FEATURE_NAMES, FusionWeights, ListRules
from streams.ranking.online_fusion import OnlineFusion

COUNT_RANKERS = ("default", "learned", "rules")
CONTENDERS = (*BASELINES, *COUNT_RANKERS)


def make_contender(name: str, stream: RecordedStream, lag_events: int, seed: int) -> Contender:
    """Return a contender by its name in CONTENDERS."""
    catalogue = stream.catalogue
    if name in BASELINES:
        baseline = BASELINES[name](BaselineSetup(catalogue.max_index + 1, seed))
        if isinstance(baseline, FittedBaseline):
            baseline = Refitting(baseline, seed)
        return BaselineContender(name, baseline, catalogue)
    online = OnlineFusion(FusionWeights.default()) if name == "learned" else None
    rules = ListRules() if name == "rules" else None
    return CountRanker(name, catalogue, online, lag_events, rules)


def rounded_weights(weights: FusionWeights) -> str:
    """Return weights as JSON with two decimals, small context weights left out: the source of `default_weights`."""
    plain = dict(zip(FEATURE_NAMES, np.round(weights.weights, 2).tolist(), strict=True))
    context = {
        name: {
            feature: value
            for feature, value in zip(FEATURE_NAMES, np.round(row, 2).tolist(), strict=True)
            if abs(value) >= 0.02
        }
        for name, row in zip(CONTEXT_NAMES, weights.context_weights, strict=True)
    }
    return json.dumps({"weights": plain, "context": context}, indent=2)


def main(argv: Sequence[str] | None = None) -> None:
    """Evaluate and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--start", type=float, default=0.6, help="graded from this fraction of the stream")
    parser.add_argument("--events", type=int, default=20_000, help="graded events")
    parser.add_argument("--lists-from", type=float, default=0.05, help="fusion is learned from this fraction on")
    parser.add_argument("--contenders", nargs="+", default=list(CONTENDERS), choices=CONTENDERS)
    parser.add_argument("--moment", type=Moment, default=Moment.ON_REQUEST)
    parser.add_argument("--lag", type=int, default=0, help="events by which the statistics are late")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", type=Path, help="write the learned weights here")
    arguments = parser.parse_args(argv)
    stream = load_stream(arguments.path, arguments.seed)
    first = round(arguments.start * len(stream.events))
    online = any(name == "learned" for name in arguments.contenders)
    lists_from = round(arguments.lists_from * len(stream.events)) if online else first
    part = GradedPart(first, min(first + arguments.events, len(stream.events)), min(lists_from, first))
    contenders = [make_contender(name, stream, arguments.lag, arguments.seed) for name in arguments.contenders]
    began = time.perf_counter()
    first_ever: dict[str, RankingMetrics] = {}
    results = evaluate(stream.events, contenders, part, arguments.moment, first_ever)
    columns = ("system", "HR@10", "NDCG@10", "first-ever HR@10", "recall")
    table = Table(*columns, title=f"{part.stop - part.start} events, {arguments.moment}")
    for contender in contenders:
        metrics = results[contender.name]
        recall = ""
        if isinstance(contender, CountRanker):
            recall = f"{contender.recalled / max(part.stop - part.lists_from, 1):.3f}"
        table.add_row(
            contender.name,
            f"{metrics.hit_rate:.4f}",
            f"{metrics.ndcg:.4f}",
            f"{first_ever[contender.name].hit_rate:.4f}",
            recall,
        )
        if isinstance(contender, CountRanker) and contender.online is not None and arguments.weights:
            arguments.weights.write_text(rounded_weights(contender.online.weights))
    console = Console()
    console.print(table)
    console.print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
