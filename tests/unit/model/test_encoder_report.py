"""The report on the encoder alone, and the first training it starts with."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from millrace.model.dataset.event_table import EventTable
from millrace.model.dataset.windows import cut_windows
from millrace.model.training.encoder_report import last_events_last, main
from millrace.model.training.encoder_trainer import EncoderTrainer
from millrace.model.training.first import IN_SERVICE, OFFLINE, HeldOut, train_first
from millrace.producers.synthetic import SyntheticOptions
from millrace.producers.synthetic.world import make_world
from millrace.producers.synthetic.write import write_folder
from tests.unit.model.small import small_recommender


def test_the_last_event_of_each_user_goes_to_the_end() -> None:
    users = np.array([0, 1, 0, 2, 1], np.int32)
    table = EventTable(
        users, np.array([5, 6, 7, 8, 9], np.int32), np.ones(5, np.float32), np.arange(5, dtype=np.int64) * 1000
    )
    moved, first = last_events_last(table)
    assert first == 2
    assert moved.items.tolist() == [5, 6, 7, 8, 9]
    back = EventTable(users, table.items, table.values, table.ts_ms[::-1].copy())
    moved, first = last_events_last(back)
    assert moved.items[:first].tolist() == [7, 9]
    assert sorted(moved.items[first:].tolist()) == [5, 6, 8]


def test_the_first_training_keeps_the_best_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("millrace.model.training.first.IN_SERVICE", replace(IN_SERVICE, round_targets=300))
    rng = np.random.default_rng(1)
    users = np.repeat(np.arange(20), 15)
    start = rng.integers(0, 100, 20)
    items = (start[users] + 3 * (np.arange(300) % 15)) % 100 + 1
    order = np.argsort(np.arange(300) % 15, kind="stable")
    table = EventTable(
        users[order].astype(np.int32),
        items[order].astype(np.int32),
        np.full(300, 4.0, np.float32),
        np.arange(300, dtype=np.int64) * 1000,
    )
    recommender = small_recommender()
    windows = cut_windows(table, recommender.config.length, 10)
    told: list[float] = []
    trainer = EncoderTrainer(recommender, windows, 0)
    done = train_first(recommender, trainer, table, windows, 3e-3, 0, lambda _, share: told.append(share))
    assert done.epochs == int(np.argmax(done.gains)) + 1
    assert max(done.gains) > done.gains[0] or len(done.gains) <= 3
    assert told[-1] == 1.0
    assert np.diff(told).min() > 0


@pytest.mark.parametrize("options", [["--start", "0.6", "--stop", "0.8"], ["--leave-one-out"]])
def test_the_report_has_a_row_for_each_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    short = replace(IN_SERVICE, round_targets=1000, most_epochs=1, least_rounds=1)
    monkeypatch.setattr("millrace.model.training.first.IN_SERVICE", short)
    monkeypatch.setenv("COLUMNS", "200")
    write_folder(make_world(SyntheticOptions(events=800, users=30, items=100, seed=1)), tmp_path)
    main([str(tmp_path), "--growth", "0.2", "--length", "12", *options])
    lines = [line.split("│") for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    assert len(lines) == (3 if options[0] == "--start" else 2)
    graded = [int(cells[4]) for cells in lines]
    assert graded[-1] == sum(graded[:-1]) > 0
    assert all(0 <= float(cells[5]) <= 1 for cells in lines)


def test_a_long_log_gets_more_rounds_than_one_that_is_soon_known_by_heart() -> None:
    assert IN_SERVICE.rounds(9_000) == (4, 12)
    assert IN_SERVICE.rounds(90_000) == (1, 44)
    assert IN_SERVICE.rounds(3_000_000) == (1, 4)
    assert OFFLINE.rounds(900_000) == (2, 17)


def test_events_from_outside_of_the_log_can_tell_when_it_is_enough() -> None:
    users, items = np.tile(np.arange(20), 6), np.tile(np.arange(1, 7), 20)
    table = EventTable(
        users.astype(np.int32),
        items.astype(np.int32),
        np.full(120, 4.0, np.float32),
        np.arange(120, dtype=np.int64) * 1000,
    )
    recommender, log = small_recommender(), table.head(100)
    windows = cut_windows(log, recommender.config.length, 5)
    trainer = EncoderTrainer(recommender, windows, 0)
    done = train_first(recommender, trainer, log, windows, 3e-3, 0, lambda *_: None, HeldOut(table, 100))
    assert done.epochs == 5 * (int(np.argmax(done.gains)) + 1)
