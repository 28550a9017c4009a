"""An evaluation that was interrupted ends as one that was not."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from millrace.kernel.errors import ConfigurationError
from millrace.kernel.user_state import ResolvedEvent
from millrace.model.evaluation.checkpoints import Checkpoints
from millrace.model.evaluation.grading import GradingRun, ListTiming, continue_grading, grade
from millrace.model.evaluation.options import EvaluateOptions
from millrace.model.evaluation.past import PastEvents
from millrace.model.evaluation.runs import run_one, split_of
from millrace.model.evaluation.split import Split
from millrace.model.evaluation.system import System
from millrace.model.recorded_stream import RecordedStream
from tests.unit.evaluation.plain_system import PlainSystem, make_plain, small_stream

STREAM = small_stream(events=1_500, users=30, items=120)
SPLIT = Split.of(len(STREAM.events))


class Interrupted(Exception):
    """Stands for a power cut."""


class _StopAt(PlainSystem):
    """Fails at a row, as often as it gets there."""

    stop_at: int | None = None

    def prepare(self, row: int) -> None:
        if row == type(self).stop_at:
            raise Interrupted


def make_failing(name: str, stream: RecordedStream, split: Split, options: EvaluateOptions) -> System:
    plain = make_plain(name, stream, split, options)
    assert isinstance(plain, PlainSystem)
    return _StopAt(name, plain._baseline, stream.catalogue, split.graded)


def always_due(path: Path, past: Sequence[ResolvedEvent]) -> Checkpoints:
    return Checkpoints(path, "the test", {"past": past, "catalogue": STREAM.catalogue}, every_s=0.0)


@pytest.mark.parametrize("moment", list(ListTiming))
@pytest.mark.parametrize("stop_at", [350, 900])
def test_it_goes_on_where_it_was(
    moment: ListTiming, stop_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = EvaluateOptions()
    whole = grade(STREAM.events, make_failing("millrace", STREAM, SPLIT, options), SPLIT, moment)
    past = PastEvents(STREAM.events)
    monkeypatch.setattr(_StopAt, "stop_at", stop_at)
    fresh = GradingRun(make_failing("millrace", STREAM, SPLIT, options))
    with pytest.raises(Interrupted):
        continue_grading(past, fresh, SPLIT, moment, checkpoints=always_due(tmp_path / "one", past))
    monkeypatch.setattr(_StopAt, "stop_at", None)
    again = PastEvents(STREAM.events)
    kept = always_due(tmp_path / "one", again).load()
    assert isinstance(kept, GradingRun)
    assert stop_at - 200 <= kept.row <= stop_at
    resumed = continue_grading(again, kept, SPLIT, moment)
    assert np.array_equal(resumed.ranks, whole.ranks)
    assert np.array_equal(resumed.shown, whole.shown)
    assert np.array_equal(resumed.predicted, whole.predicted, equal_nan=True)
    assert resumed.counts == whole.counts


def test_the_stream_and_the_catalogue_are_not_written(tmp_path: Path) -> None:
    past = PastEvents(STREAM.events)
    checkpoints = always_due(tmp_path / "one", past)
    checkpoints.save({"stream": past, "items": STREAM.catalogue})
    kept = checkpoints.load()
    assert kept["stream"] is past
    assert kept["items"] is STREAM.catalogue
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 1_000


def test_a_finished_system_is_not_run_again(tmp_path: Path) -> None:
    options = EvaluateOptions(work=tmp_path, resume=True)
    result = run_one("popularity", STREAM, options, make_plain, lambda share: None)

    def nobody(name: str, stream: RecordedStream, split: Split, options: EvaluateOptions) -> System:
        raise AssertionError("made again")

    again = run_one("popularity", STREAM, options, nobody, lambda share: None)
    assert np.array_equal(again.outcomes.ranks, result.outcomes.ranks)


def test_without_resume_it_starts_anew(tmp_path: Path) -> None:
    made = []

    def counted(name: str, stream: RecordedStream, split: Split, options: EvaluateOptions) -> System:
        made.append(name)
        return make_plain(name, stream, split, options)

    for _ in range(2):
        run_one("popularity", STREAM, EvaluateOptions(work=tmp_path), counted, lambda share: None)
    assert len(made) == 2


def test_a_checkpoint_of_another_evaluation_is_refused(tmp_path: Path) -> None:
    options = EvaluateOptions(work=tmp_path, resume=True)
    run_one("popularity", STREAM, options, make_plain, lambda share: None)
    with pytest.raises(ConfigurationError, match="other options, data or code"):
        run_one("popularity", STREAM, replace(options, seed=3), make_plain, lambda share: None)


@pytest.mark.parametrize("content", [b"", b"no pickle"])
def test_a_broken_checkpoint_is_said(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "popularity.checkpoint").write_bytes(content)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        run_one("popularity", STREAM, EvaluateOptions(work=tmp_path, resume=True), make_plain, lambda share: None)


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written"):
        always_due(tmp_path / "one", PastEvents(STREAM.events)).save(lambda: None)


def test_a_split_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="leave nothing"):
        split_of(STREAM, EvaluateOptions(training=0.8, warm_up=0.2))
