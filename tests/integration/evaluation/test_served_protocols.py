"""The served system in every protocol that reads a folder, on a stream of a few hundred events."""

import math
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from millrace.model.configuration import ModelConfiguration, write_configuration
from millrace.model.evaluation.options import EvaluateOptions
from millrace.model.evaluation.protocols import run_protocol
from tests.unit.evaluation.plain_system import small_stream, write_movielens

EVENTS = 500
pytestmark = pytest.mark.slow


def quick(folder: Path) -> Path:
    """Return a configuration that trains in no time: what is learned does not matter here."""
    path = folder / "quick.toml"
    small = {"network.width": 16, "network.blocks": 1, "encoder.epochs": 1, "encoder.refresh_epochs": 1}
    write_configuration(path, ModelConfiguration().with_changes(small))
    return path


def figures_of(folder: Path, protocol: str, **options: Any) -> dict[str, Any]:
    write_movielens(folder, small_stream(EVENTS))
    asked = EvaluateOptions(
        path=folder, protocol=protocol, baselines=("popularity",), configuration=quick(folder), **options
    )
    report = run_protocol(asked, Console(quiet=True))
    assert not report.problems
    assert report.page().startswith("<!doctype html>")
    return report.as_json()


def test_a_cut_in_time_freezes_the_served_system(tmp_path: Path) -> None:
    figures = figures_of(tmp_path, "time-split", cut=0.8)
    assert figures["events_graded"] == EVENTS // 5
    assert figures["protocol"]["first_graded_row"] == EVENTS * 4 // 5
    assert 0.0 < figures["hit_rate_at_10"] <= 1.0
    assert math.isfinite(figures["predicted_rating"]["rmse"])


def test_variants_of_learning_are_compared_on_the_same_events(tmp_path: Path) -> None:
    figures = figures_of(tmp_path, "incremental", refreshes=1)
    assert set(figures["variants"]) == {"full", "incremental", "frozen"}
    first, second = figures["stretches"]
    # Up to the second point the variants are one and the same system.
    assert len(set(first["ndcg_at_10"].values())) == 1
    assert first["events"] + second["events"] == figures["events_graded"]
    seconds = {name: one["seconds_at_points"] for name, one in figures["variants"].items()}
    assert seconds["frozen"][1] == 0.0
    assert seconds["incremental"][1] > 0.0
    assert seconds["full"][1] > 0.0


def test_hidden_items_are_looked_for_among_given_ones(tmp_path: Path) -> None:
    figures = figures_of(tmp_path, "masked", negatives=15)
    assert figures["baskets"] == 12
    assert figures["candidates_per_basket"] <= 15 + figures["hidden_per_basket"]
    assert 0.0 <= figures["recall_at_10"] <= 1.0
    assert set(figures["baselines"]) == {"popularity"}


def test_whole_sequences_are_graded_at_their_last_two_items(tmp_path: Path) -> None:
    users, items, length = 12, 30, 8
    path = tmp_path / "sequences.txt"
    steps = [(user, (7 * user + step) % items) for user in range(users) for step in range(length)]
    path.write_text("".join(f"{user} {item}\n" for user, item in steps))
    asked = EvaluateOptions(
        protocol="leave-one-out", sequences=path, sampled=5, baselines=("markov",), configuration=quick(tmp_path)
    )
    figures = run_protocol(asked, Console(quiet=True)).as_json()
    assert figures["events_graded"] == users
    assert figures["validation"]["events_graded"] == users
    assert 0.0 < figures["candidate_recall"] <= 1.0
    assert figures["encoder_epochs"] >= 1
    assert figures["sampled"]["negatives"] == 5
    assert 0.0 <= figures["baselines"]["markov"]["hit_rate_at_10"] <= 1.0
