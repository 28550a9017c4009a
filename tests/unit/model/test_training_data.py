"""From columns to windows and contents."""

import numpy as np
import pytest

from millrace.kernel.contracts import CatalogueItem
from millrace.model.content import FIXED_COLUMNS, YEAR_KNOTS, content_matrix, genre_vocabulary
from millrace.model.dataset.event_table import EventTable
from millrace.model.dataset.windows import cut_windows
from millrace.model.training.plan import plan_training
from millrace.model.training.refresh import refresh_windows


@pytest.mark.parametrize(("length", "targets"), [(6, 3), (5, 5), (8, 1)])
def test_windows_hold_what_came_before_each_target(length: int, targets: int) -> None:
    rng = np.random.default_rng(length)
    table = EventTable(
        users=rng.integers(0, 7, 120).astype(np.int32),
        items=rng.integers(1, 50, 120).astype(np.int32),
        values=(rng.integers(1, 11, 120) / 2).astype(np.float32),
        ts_ms=np.sort(rng.integers(0, 90, 120)).astype(np.int64) * 1000,
    )
    windows = cut_windows(table, length, targets)
    got = []
    for row in range(len(windows)):
        for slot in range(targets):
            if windows.target[row, slot]:
                end = length - targets + slot + 1
                heard = windows.history[row, max(0, end - length) : end]
                got.append((heard[heard > 0].tolist(), int(windows.target[row, slot])))
    wanted = []
    for user in np.unique(table.users):
        mine = np.flatnonzero(table.users == user)
        last_slots = {int(place) for place in range(len(mine))}
        for place in sorted(last_slots):
            wanted.append((table.items[mine[:place]].tolist(), int(table.items[mine[place]])))
    assert len(got) == len(wanted) == 120
    # A window sees at most `length` entries before its last target: each history is a suffix of the true one.
    unmatched = list(wanted)
    for heard, target in got:
        match = next(each for each in unmatched if each[1] == target and each[0][len(each[0]) - len(heard) :] == heard)
        assert len(heard) >= min(len(match[0]), length - targets + 1) or len(heard) == len(match[0])
        unmatched.remove(match)
    assert not unmatched


def test_window_ages_count_back_from_the_newest_entry() -> None:
    table = EventTable(
        users=np.zeros(4, np.int32),
        items=np.array([5, 6, 7, 8], np.int32),
        values=np.full(4, 4.0, np.float32),
        ts_ms=np.array([1000, 3000, 10_000, 99_000], np.int64),
    )
    windows = cut_windows(table, 5, 4)
    assert windows.history.tolist() == [[0, 0, 5, 6, 7]]
    assert windows.target.tolist() == [[5, 6, 7, 8]]
    assert windows.age.tolist() == [[0, 0, 9, 7, 0]]
    assert windows.newest.tolist() == [3]


def test_genres_are_appended_and_years_shared_between_neighbours() -> None:
    items = {
        1: CatalogueItem(item_id="a", genres=("War", "Drama"), year=1952),
        3: CatalogueItem(item_id="b"),
        99: CatalogueItem(item_id="beyond the rows", genres=("Noir",)),
    }
    genres = genre_vocabulary(items.values(), known=("War",))
    assert genres == ("War", "Drama", "Noir")
    matrix = content_matrix(items, genres, rows=5)
    assert matrix.shape == (5, FIXED_COLUMNS + 3)
    assert matrix[1, 10] == pytest.approx(0.6)
    assert matrix[1, 11] == pytest.approx(0.4)
    np.testing.assert_allclose(matrix[1, FIXED_COLUMNS:], [0.5**0.5, 0.5**0.5, 0])
    assert matrix[3].nonzero()[0].tolist() == [YEAR_KNOTS, YEAR_KNOTS + 1]
    assert not matrix[[0, 2, 4]].any()


def table_of(count: int) -> EventTable:
    users = (np.arange(count) // 30).astype(np.int32)
    return EventTable(users, np.ones(count, np.int32), np.ones(count, np.float32), np.arange(count, dtype=np.int64))


def test_a_small_log_is_seen_more_often_than_a_large_one() -> None:
    small, large = plan_training(table_of(3000)), plan_training(table_of(300_000))
    assert small.first.epochs > large.first.epochs >= 1
    assert small.refresh.learning_rate < small.first.learning_rate


def test_windows_have_fewer_targets_where_users_have_few_events() -> None:
    assert plan_training(table_of(3000), 50).window_targets == 25
    assert plan_training(table_of(3000), 100).window_targets == 10
    assert plan_training(table_of(3000), 6).window_targets == 3


def test_a_refresh_runs_over_what_is_new_and_as_much_that_is_old() -> None:
    windows = cut_windows(table_of(900), 10, 5)
    part = refresh_windows(windows, 800, 1.0, seed=1)
    new = windows.newest >= 800
    assert len(part) == 2 * new.sum()
    assert (part.newest[: new.sum()] >= 800).all()
    assert (part.newest[new.sum() :] < 800).all()
    assert len(refresh_windows(windows, 0, 1.0, seed=1)) == len(windows)


def test_cropping_takes_away_what_is_padding_everywhere() -> None:
    windows = cut_windows(table_of(45), 60, 40)
    short = windows.take(np.array([1])).cropped()
    assert len(windows) == 2
    assert short.history.shape == (1, 15)
    assert short.target.shape == short.target_row.shape == (1, 15)
    assert windows.cropped().target.shape == (2, 30)
    np.testing.assert_array_equal(windows.cropped().history, windows.history[:, -30:])
