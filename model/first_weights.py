"""`python -m millrace.model.first_weights PATH`: learns the fusion weights that serve before any model version exists.

It starts from the current ones (`millrace.streams.ranking.default_weights`) and learns on the first part of a stream.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from millrace.kernel.user_state import ResolvedEvent, UserState, apply_event
from millrace.model.recorded_stream import load_stream
from millrace.streams.catalogue import Catalogue
from millrace.streams.ranking import CONTEXT_NAMES, FEATURE_NAMES, CandidateBatch, CandidateStep, FusionWeights
from millrace.streams.ranking.online_fusion import OnlineFusion
from millrace.streams.statistics import ItemStatistics

# Context weights whose rounded size is below this are left out.
_LEAST_CONTEXT_WEIGHT = 0.02


class FusionFromCounts:
    """Learns the linear fusion from candidate lists built right after the user's previous event, as in service.

    Args:
        catalogue: All items.
        start: Initial weights.
    """

    def __init__(self, catalogue: Catalogue, start: FusionWeights) -> None:
        self._statistics = ItemStatistics()
        self._step = CandidateStep(self._statistics, catalogue)
        self._fusion = OnlineFusion(start)
        self._users: dict[str, UserState] = {}
        self._shown: dict[str, CandidateBatch] = {}

    @property
    def weights(self) -> FusionWeights:
        """The current weights."""
        return self._fusion.weights

    def learn(self, event: ResolvedEvent, from_list: bool) -> None:
        """Learn one event.

        Args:
            event: Next event of the stream; a duplicate is ignored.
            from_list: Whether to update the fusion as well. It should be False for the first events, when the
                statistics are still too sparse.
        """
        before = self._users.get(event.user_id) or UserState(event.user_id)
        applied = apply_event(before, event)
        if applied.duplicate:
            return
        if from_list:
            shown = self._shown.get(event.user_id)
            self._learn_fusion(self._list(before, event.ts_ms) if shown is None else shown, event.item)
        self._users[event.user_id] = applied.state
        self._statistics.update(before, event.item, event.value, event.ts_ms, event.weight)
        if from_list:
            self._shown[event.user_id] = self._list(applied.state, event.ts_ms)

    def _list(self, state: UserState, now_ms: int) -> CandidateBatch:
        return self._step.build([state], [now_ms], self.weights)

    def _learn_fusion(self, shown: CandidateBatch, item: int) -> None:
        size = int((shown.candidates[0] > 0).sum())
        places = np.flatnonzero(shown.candidates[0, :size] == item)
        if len(places):
            self._fusion.learn(shown.features[0, :size], shown.context[0], int(places[0]))


def rounded(weights: FusionWeights) -> dict[str, dict[str, object]]:
    """Return the weights by name, rounded to two decimals, in the form of `default_weights`.

    Returns:
        `weights`: feature -> weight; `context`: context entry -> feature -> weight, without small weights.
    """
    plain = dict(zip(FEATURE_NAMES, np.round(weights.weights.astype(float), 2).tolist(), strict=True))
    context = {
        name: {
            feature: value
            for feature, value in zip(FEATURE_NAMES, np.round(row.astype(float), 2).tolist(), strict=True)
            if abs(value) >= _LEAST_CONTEXT_WEIGHT
        }
        for name, row in zip(CONTEXT_NAMES, weights.context_weights, strict=True)
    }
    return {"weights": plain, "context": context}


def main(argv: Sequence[str] | None = None) -> None:
    """Learn and print the weights as JSON."""
    parser = argparse.ArgumentParser(prog="python -m millrace.model.first_weights", description=__doc__)
    parser.add_argument("path", type=Path, help="MovieLens folder")
    parser.add_argument("--stop", type=float, default=0.3, help="share of the stream that is read")
    parser.add_argument("--lists-from", type=float, default=0.02, help="the fusion is learned from this share on")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(argv)
    stream = load_stream(given.path, given.seed)
    events = stream.events[: round(given.stop * len(stream.events))]
    fusion = FusionFromCounts(stream.catalogue, FusionWeights.default())
    for row, event in enumerate(track(events, "Learning", console=Console(stderr=True))):
        fusion.learn(event, from_list=row >= given.lists_from * len(stream.events))
    sys.stdout.write(json.dumps(rounded(fusion.weights), indent=2) + "\n")


if __name__ == "__main__":
    main()
