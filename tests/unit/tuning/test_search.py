import time
from dataclasses import replace
from pathlib import Path

import pytest
from tuning_world import catalogue, events, make, split

from millrace.kernel.errors import ConfigurationError
from millrace.kernel.user_state import ResolvedEvent
from millrace.model.configuration import ModelConfiguration
from millrace.model.tuning.processes import SearchOptions, search
from millrace.model.tuning.search import Budget, Found, Search
from millrace.model.tuning.space import SEARCH_SPACE, OneOf, Range, default_parameters, suggested
from millrace.model.tuning.warm_up import WarmUpStream, warm_up_stream

SPACE = {"network.dropout": Range(0.0, 0.8), "network.blocks": OneOf((1, 2))}


def stream_of(all_events: list[ResolvedEvent]) -> WarmUpStream:
    return warm_up_stream(all_events, catalogue(), split(all_events))


def found_in(work: Path, stream: WarmUpStream, trials: int = 12, seed: int = 0) -> Found:
    return search(stream, make, SearchOptions(work, trials, 60.0, seed=seed), SPACE)


@pytest.fixture
def stream() -> WarmUpStream:
    return stream_of(events(600))


def test_a_search_beats_the_defaults_where_there_is_something_to_find(tmp_path: Path, stream: WarmUpStream) -> None:
    found = found_in(tmp_path, stream)
    assert found.default_ndcg is not None
    assert found.ndcg > found.default_ndcg
    assert abs(found.configuration.network.dropout - 0.4) < abs(ModelConfiguration().network.dropout - 0.4)
    assert found.complete + found.pruned == 12
    assert found.pruned > 0


def test_the_same_seed_finds_the_same(tmp_path: Path, stream: WarmUpStream) -> None:
    first, second = (found_in(tmp_path / name, stream) for name in ("first", "second"))
    assert first == replace(second, seconds=first.seconds)


def test_changing_the_graded_part_changes_nothing(tmp_path: Path) -> None:
    before = events(600)
    graded = split(before).graded
    after = before[:graded] + [replace(event, item=1, value=0.5) for event in reversed(before[graded:])]
    first, second = found_in(tmp_path / "a", stream_of(before)), found_in(tmp_path / "b", stream_of(after))
    assert first == replace(second, seconds=first.seconds)


def test_a_search_goes_on_where_it_ended(tmp_path: Path, stream: WarmUpStream) -> None:
    found_in(tmp_path, stream, trials=5)
    again = Search(tmp_path, stream, SPACE)
    again.begin()
    assert again.finished == 5
    assert found_in(tmp_path, stream, trials=9).complete <= 9
    assert again.finished == 9


def test_another_stream_is_another_study(tmp_path: Path, stream: WarmUpStream) -> None:
    found_in(tmp_path, stream, trials=3)
    assert Search(tmp_path, stream_of(events(600, seed=5)), SPACE).finished == 0


def test_processes_share_one_study(tmp_path: Path, stream: WarmUpStream) -> None:
    found = search(stream, make, SearchOptions(tmp_path, 6, 120.0, jobs=2), SPACE)
    assert 6 <= found.complete + found.pruned <= 7
    assert found.default_ndcg is not None


def test_without_time_there_is_no_result(tmp_path: Path, stream: WarmUpStream) -> None:
    one = Search(tmp_path, stream, SPACE)
    one.begin()
    one.run(make, Budget(3, time.monotonic() - 1.0))
    with pytest.raises(ConfigurationError, match="more time"):
        one.found()


class _Replayed:
    """A trial that answers with given parameters and checks that they are within the bounds."""

    def __init__(self, parameters: dict[str, int | float | str]) -> None:
        self._parameters = parameters

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        value = float(self._parameters[name])
        assert low <= value <= high, name
        return value

    def suggest_categorical(self, name: str, choices: tuple[str, ...]) -> str:
        assert self._parameters[name] in choices, name
        return str(self._parameters[name])


def test_the_defaults_lie_within_the_space_that_is_searched() -> None:
    assert suggested(_Replayed(default_parameters(SEARCH_SPACE)), SEARCH_SPACE) == ModelConfiguration()
