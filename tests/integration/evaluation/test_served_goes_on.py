"""Long evaluations of the served system: one that was interrupted goes on, variants share trained encoders."""

import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from millrace.model.evaluation.grading import GradingRun, continue_grading
from millrace.model.evaluation.outcomes import SystemOutcomes
from millrace.model.evaluation.past import PastEvents
from millrace.model.evaluation.served_system import ServedOptions, ServedSystem
from millrace.model.evaluation.split import Split
from tests.integration.evaluation.tiny import TINY
from tests.unit.evaluation.plain_system import small_stream

STREAM = small_stream(events=500, users=15, items=120)
SPLIT = Split.of(len(STREAM.events))
OPTIONS = ServedOptions(SPLIT.warm_up, configuration=TINY)
pytestmark = pytest.mark.slow


class EndedError(Exception):
    """Stands for the end of the process."""


class KeepOnce:
    """Keeps a replay as it is written to disk, and ends the run.

    Attributes:
        kept: The bytes.
    """

    def __init__(self) -> None:
        self.kept = b""

    def due(self) -> bool:
        return True

    def save(self, state: object) -> None:
        self.kept = pickle.dumps(state)
        raise EndedError


def run(options: ServedOptions) -> tuple[ServedSystem, SystemOutcomes]:
    system = ServedSystem(STREAM.catalogue, options)
    return system, continue_grading(PastEvents(STREAM.events), GradingRun(system), SPLIT)


@pytest.fixture(scope="module")
def whole() -> SystemOutcomes:
    return run(OPTIONS)[1]


def assert_same(one: SystemOutcomes, other: SystemOutcomes) -> None:
    assert (one.ranks == other.ranks).all()
    assert (one.shown == other.shown).all()


def test_an_interrupted_run_ends_as_an_uninterrupted_one(whole: SystemOutcomes) -> None:
    checkpoints = KeepOnce()
    with pytest.raises(EndedError):
        continue_grading(
            PastEvents(STREAM.events),
            GradingRun(ServedSystem(STREAM.catalogue, OPTIONS)),
            SPLIT,
            checkpoints=checkpoints,
        )
    replay = pickle.loads(checkpoints.kept)  # noqa: S301 - written above
    assert 0 < replay.row < SPLIT.stop
    learned_before = replay.system.learner.refreshes["encoder"]
    outcomes = continue_grading(PastEvents(STREAM.events), replay, SPLIT)
    assert 0 < learned_before < replay.system.learner.refreshes["encoder"]
    assert_same(outcomes, whole)


def test_a_system_with_shared_encoders_serves_the_same_lists(whole: SystemOutcomes, tmp_path: Path) -> None:
    shared = replace(OPTIONS, encoder_cache=tmp_path)
    first, written = run(shared)
    second, read = run(shared)
    assert first.learner.seconds["encoder"] > 0.0
    assert second.learner.seconds["encoder"] == 0.0
    assert second.learner.refreshes == first.learner.refreshes
    assert_same(written, whole)
    assert_same(read, whole)
