from dataclasses import replace
from pathlib import Path

import pytest
import tuning_world as world
from tuning_world import events, make

from millrace.apps.cli import tune as command
from millrace.kernel.user_state import ResolvedEvent
from millrace.model.configuration import ModelConfiguration, read_configuration
from millrace.model.tuning.search import Found
from millrace.model.tuning.warm_up import warm_up_stream


def write_folder(folder: Path, stream: list[ResolvedEvent]) -> Path:
    folder.mkdir()
    movies = [f"{index}::Item {index} (1990)::Drama" for index in range(1, world.ITEMS + 1)]
    ratings = [f"{event.user_id[1:]}::{event.item}::{event.value:g}::{event.ts_ms // 1000}" for event in stream]
    (folder / "movies.dat").write_text("\n".join(movies) + "\n", encoding="latin-1")
    (folder / "ratings.dat").write_text("\n".join(ratings) + "\n", encoding="latin-1")
    return folder


def distinct(count: int) -> list[ResolvedEvent]:
    """Return a stream without repeats, as MovieLens has none."""
    first = {(event.user_id, event.item): event for event in reversed(events(count))}
    return sorted(first.values(), key=lambda event: event.ts_ms)


def test_the_command_writes_a_configuration_that_trainings_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("millrace.model.tuning.make_served.make_served", make)
    folder = write_folder(tmp_path / "data", distinct(500))
    output, report = tmp_path / "model.toml", tmp_path / "report.json"
    command.tune(folder, trials=6, budget="60s", jobs=1, output=output, work=tmp_path / "work", seed=0, report=report)
    chosen = read_configuration(output)
    assert chosen != ModelConfiguration()
    assert output.read_text().startswith("# Best of")
    assert '"dropout"' in report.read_text()
    assert "NDCG@10 on the warm-up" in capsys.readouterr().out


def test_what_is_handed_to_a_search_does_not_depend_on_the_graded_part(tmp_path: Path) -> None:
    stream = distinct(500)
    cut = world.split(stream).graded
    other = stream[:cut] + [replace(event, value=1.0) for event in stream[cut:]]
    first, second = (
        command._stream(write_folder(tmp_path / name, rows), 0) for name, rows in (("a", stream), ("b", other))
    )
    assert first.fingerprint == second.fingerprint
    assert len(first.events) == cut


def test_the_result_says_what_the_defaults_are_worth() -> None:
    chosen = ModelConfiguration().with_changes({"network.width": 32})
    found = Found(chosen, ndcg=0.08, default_ndcg=0.07, complete=3, pruned=2, seconds=10.0)
    whole = events(100)
    stream = warm_up_stream(whole, world.catalogue(), world.split(whole))
    figures = command.as_json(found, stream)
    assert figures["ndcg_at_10_warm_up_of_defaults"] == 0.07
    assert figures["configuration"] == {"network": {"width": 32}}
