"""The price of diversity is measured on lists of the same moments."""

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from millrace.apps.cli.evaluate_options import parse_weights
from millrace.kernel.errors import ConfigurationError
from millrace.kernel.user_state import UserState
from millrace.model.evaluation.diversity import DiversityObserver
from millrace.model.evaluation.grading import ListTiming
from millrace.model.evaluation.options import EvaluateOptions
from millrace.model.evaluation.protocols.prequential import run
from millrace.model.evaluation.split import Split
from millrace.model.evaluation.system import Ranking, System
from millrace.model.recorded_stream import RecordedStream
from tests.unit.evaluation.plain_system import PlainSystem, make_plain, small_stream, write_movielens


class Rotating(PlainSystem):
    """At weight n, shows its ranking from place n on."""

    _last: Ranking | None = None

    def recommend(self, state: UserState, now_ms: int) -> tuple[Ranking, UserState]:
        self._last, kept = super().recommend(state, now_ms)
        return self._last, kept

    def relisted(self, diversity: float) -> tuple[int, ...]:
        assert self._last is not None
        return tuple(self._last.ranked[int(diversity) : int(diversity) + 10].tolist())


def make_rotating(name: str, stream: RecordedStream, split: Split, options: EvaluateOptions) -> System:
    plain = make_plain(name, stream, split, options)
    assert isinstance(plain, PlainSystem)
    return Rotating(name, plain._baseline, stream.catalogue, split.graded)


def evaluate(folder: Path, **options: object) -> object:
    write_movielens(folder, small_stream())
    asked = EvaluateOptions(path=folder, baselines=(), diversities=(0.0, 5.0), **options)  # type: ignore[arg-type]
    return run(asked, Console(file=io.StringIO()), make_rotating).report


def test_the_setting_that_serves_has_the_figures_of_the_system(tmp_path: Path) -> None:
    report = evaluate(tmp_path)
    same, rotated = report.diversity_curve  # type: ignore[attr-defined]
    assert (same.setting, rotated.setting) == (0.0, 5.0)
    assert (same.hit_rate_at_10, same.list_diversity) == (report.hit_rate_at_10, report.list_diversity)  # type: ignore[attr-defined]
    assert same.interval == pytest.approx(report.intervals["hit_rate_at_10"])  # type: ignore[attr-defined]
    assert rotated.hit_rate_at_10 < same.hit_rate_at_10


def test_lists_made_earlier_cannot_be_made_again(tmp_path: Path) -> None:
    assert evaluate(tmp_path, moment=ListTiming.AFTER_EVENT).diversity_curve == []  # type: ignore[attr-defined]


def test_a_long_part_is_thinned_evenly() -> None:
    watch = DiversityObserver((0.0,), graded=30_000)
    stream = small_stream()
    system = Rotating("any", make_plain("popularity", stream, Split(1, 2, 3), None)._baseline, stream.catalogue, 0)  # type: ignore[attr-defined, arg-type]
    system.recommend(UserState("anyone"), 0)
    for target in range(1, 10):
        watch.observe(system, target)
    lists = watch.lists()
    assert lists is not None
    assert lists.events.tolist() == [0, 3, 6]
    assert np.array_equal(lists.targets, [1, 4, 7])
    assert lists.hits.tolist() == [[True, True, True]]


@pytest.mark.parametrize("text", ["a", "0,-1", "nan", "inf"])
def test_weights_that_are_none(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--diversity is unusable"):
        parse_weights(text)


def test_weights_are_sorted() -> None:
    assert parse_weights("0.3,0,0.1,0.1") == (0.0, 0.1, 0.3)
