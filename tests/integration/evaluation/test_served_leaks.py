"""The system as it serves, with its network and its artifacts: nothing of the future reaches its lists."""

from collections.abc import Sequence
from typing import Any

import pytest

from millrace.kernel.user_state import ResolvedEvent
from millrace.model.evaluation.grading import GradingRun, continue_grading
from millrace.model.evaluation.leaks import LeakProbe, future_dependence
from millrace.model.evaluation.past import PastEvents
from millrace.model.evaluation.served_system import ServedOptions, ServedSystem
from millrace.model.evaluation.split import Split
from millrace.model.evaluation.system import System
from millrace.streams.ranking import FEATURE_NAMES, CandidateBatch, CandidateStep
from tests.integration.evaluation.tiny import TINY
from tests.unit.evaluation.plain_system import small_stream

ITEMS = 120
STREAM = small_stream(events=500, users=15, items=ITEMS)
SPLIT = Split.of(len(STREAM.events))


def served(without: frozenset[str] = frozenset()) -> ServedSystem:
    return ServedSystem(STREAM.catalogue, ServedOptions(SPLIT.warm_up, without, TINY))


class ToldStep:
    """A candidate step that writes the item of the next event into a feature.

    Args:
        honest: The step.
        events: The stream.
        feature: Written to.
    """

    def __init__(self, honest: CandidateStep, events: Sequence[ResolvedEvent], feature: str) -> None:
        self._honest = honest
        self._events = events
        self._column = FEATURE_NAMES.index(feature)
        self.row = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._honest, name)

    def build(self, *arguments: Any) -> CandidateBatch:
        batch = self._honest.build(*arguments)
        batch.features[0, :, self._column] = batch.candidates[0] == self._events[self.row].item
        return batch


class ToldSystem(ServedSystem):
    """The served system with such a step."""

    def prepare(self, row: int) -> None:
        self._step.row = row  # type: ignore[attr-defined]
        super().prepare(row)


def findings(system: System) -> tuple[str, ...]:
    past = PastEvents(STREAM.events)
    probe = LeakProbe(ITEMS, SPLIT.stop - SPLIT.graded)
    return probe.findings(continue_grading(past, GradingRun(system, observer=probe), SPLIT))


@pytest.mark.slow
def test_shuffling_the_future_changes_no_list() -> None:
    def make(events: Sequence[ResolvedEvent]) -> System:
        return served()

    # Both runs train encoder and ranker and write artifacts: this is the same result twice as well.
    assert future_dependence(make, STREAM.events, SPLIT, row=190, seed=1) is None


@pytest.mark.slow
def test_a_model_given_the_target_as_a_feature_is_caught() -> None:
    system = ToldSystem(STREAM.catalogue, ServedOptions(SPLIT.warm_up, frozenset({"encoder"}), TINY))
    system._step = ToldStep(system._step, STREAM.events, "idle_events")  # type: ignore[assignment]
    features = [finding for finding in findings(system) if finding.startswith("The feature")]
    assert len(features) == 1
    assert features[0].startswith("The feature idle_events singles out")
