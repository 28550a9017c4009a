"""The fitted baselines against their formulas, computed independently, and their bounds."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from millrace.kernel.user_state import UserState
from millrace.model.baselines import Ease, ItemKnn
from millrace.model.baselines.ease import EaseSetting, item_weights
from millrace.model.baselines.history_sums import HistorySums
from millrace.model.baselines.interactions import interactions_of
from millrace.model.baselines.item_knn import ItemKnnSetting
from millrace.model.baselines.lazy_adam import LazyAdam
from millrace.model.baselines.matrix_factorisation import MatrixFactorisation, alternate
from millrace.model.baselines.ncf import Ncf
from millrace.model.baselines.ncf_network import (
    gradient,
    initial_embeddings,
    initial_weights,
    logits,
    prepare_items,
)
from millrace.model.baselines.ridge import solve_one
from millrace.model.baselines.sasrec import Sasrec
from millrace.model.baselines.sasrec_inference import SasrecConfig, next_item_logits
from millrace.model.baselines.selection import best_setting
from millrace.model.dataset.event_table import EventTable

TINY = SasrecConfig(width=16, blocks=2, length=6)


def table(users, items, values=None) -> EventTable:
    count = len(items)
    return EventTable(
        np.asarray(users, np.int32),
        np.asarray(items, np.int32),
        np.full(count, 3.0, np.float32) if values is None else np.asarray(values, np.float32),
        np.arange(count, dtype=np.int64) * 1000,
    )


def random_table(seed=0, users=12, items=20, events=150) -> EventTable:
    rng = np.random.default_rng(seed)
    values = rng.integers(1, 11, events) / 2
    return table(rng.integers(0, users, events), rng.integers(1, items, events), values)


def binary(events: EventTable, size: int) -> np.ndarray:
    dense = np.zeros((events.users.max() + 1, size))
    dense[events.users, events.items] = 1.0
    return dense


def user(*items: int, user_id: str = "u") -> UserState:
    newest_first = np.array(items[::-1], np.int32)
    return UserState(
        user_id,
        count=len(items),
        items=newest_first,
        values=np.full(len(items), 4.0, np.float32),
        ts_ms=np.arange(len(items))[::-1],
        touched=np.array(items, np.int32),
    )


@pytest.mark.parametrize("users", [5, 40], ids=["by users (Woodbury)", "by items"])
def test_ease_weights_equal_the_closed_form(users):
    events = random_table(users=users, items=20, events=160)
    known = interactions_of(events, 20)
    dense = binary(events, 20)[:, known.items]
    inverse = np.linalg.inv(dense.T @ dense + 7.0 * np.eye(len(known)))
    expected = -inverse / np.diag(inverse)[None, :]
    np.fill_diagonal(expected, 0.0)
    assert (2 * len(known.baskets) < len(known)) == (users == 5)
    np.testing.assert_allclose(item_weights(known, 7.0), expected, atol=1e-5)


def test_ease_scores_order_by_the_sum_of_the_rows_of_all_touched_items():
    events = random_table()
    ease = Ease(20, EaseSetting(penalty=7.0, window=None))
    ease.fit(events, 0)
    known = interactions_of(events, 20)
    weights = item_weights(known, 7.0)
    expected = weights[known.columns[[2, 9, 4]]].sum(axis=0)
    scores = ease.scores(user(2, 9, 4), 0)[known.items]
    np.testing.assert_allclose(scores / np.abs(scores).max(), expected / np.abs(expected).max(), atol=1e-4)


def test_a_window_leaves_older_items_out():
    events = random_table()
    ease = Ease(20, EaseSetting(penalty=7.0, window=2))
    ease.fit(events, 0)
    np.testing.assert_array_equal(ease.scores(user(2, 9, 4), 0), ease.scores(user(7, 9, 4), 0))


def test_models_of_pairs_are_bounded_by_their_number_of_items():
    rng = np.random.default_rng(1)
    events = table(rng.integers(0, 50, 3000), 1 + rng.zipf(1.4, 3000) % 900)
    known = interactions_of(events, 1000, max_items=64)
    counts = np.bincount(np.unique(events.users * 1000 + events.items) % 1000, minlength=1000)
    assert len(known) == 64
    assert counts[known.items].min() >= np.delete(counts, known.items).max()
    assert item_weights(known, 10.0).shape == (64, 64)
    ease = Ease(1000, EaseSetting(10.0), max_items=64)
    ease.fit(events, 0)
    assert len(pickle.dumps(ease)) < 64 * 64 * 4 + 40_000
    assert len(ease.scores(user(int(known.items[0])), 0)) == 1000


def test_neighbours_are_shrunk_cosines_of_the_nearest():
    events = random_table()
    knn = ItemKnn(20, ItemKnnSetting(shrinkage=2.0), neighbours=3)
    knn.fit(events, 0)
    dense = binary(events, 20)
    pairs, counts = dense.T @ dense, dense.sum(axis=0)
    cosines = pairs / (np.sqrt(np.outer(counts, counts)) + 2.0)
    np.fill_diagonal(cosines, 0.0)
    expected = np.zeros(20)
    for item in (3, 8):
        nearest = np.argsort(-cosines[item])[:3]
        expected[nearest] += cosines[item, nearest]
    scores = knn.scores(user(3, 8), 0)
    np.testing.assert_allclose(scores, expected / expected.max(), atol=1e-5)


class Ones:
    """A row per item that marks the item; counts what is added."""

    width = 8

    def __init__(self):
        self.added = []

    def add_to(self, total, item):
        self.added.append(item)
        total[item] += 1.0


def test_sums_over_whole_histories_are_advanced_and_started_anew_when_a_history_is_another_one():
    rows = Ones()
    sums = HistorySums(rows)
    sums.of(user(1, 2, 3))
    assert sums.of(user(1, 2, 3, 4)).tolist() == [0, 1, 1, 1, 1, 0, 0, 0]
    assert rows.added == [1, 2, 3, 4]
    assert sums.of(user(5)).tolist() == [0, 0, 0, 0, 0, 1, 0, 0]


def test_a_ridge_solution_makes_the_gradient_vanish():
    rng = np.random.default_rng(2)
    others, numbers, centred = rng.normal(size=(6, 5)), np.array([0, 3, 3, 5], np.int32), rng.normal(size=4)
    solved = solve_one(others, numbers, centred, 0.7)
    features = np.concatenate([others[numbers, :-1], np.ones((4, 1))], axis=1)
    errors = centred - others[numbers, -1] - features @ solved
    np.testing.assert_allclose(features.T @ errors, 0.7 * solved, atol=1e-10)


def test_factorised_ratings_are_nearer_to_hidden_ones_than_biases_are():
    rng = np.random.default_rng(3)
    taste, kind = rng.choice([-1.0, 1.0], 60), rng.choice([-1.0, 1.0], 40)
    users, items = (part.ravel() for part in np.meshgrid(np.arange(60), np.arange(1, 40), indexing="ij"))
    values = 3.0 + 1.5 * taste[users] * kind[items]
    shown = rng.random(len(users)) < 0.5
    model = MatrixFactorisation(40, 0, setting=2.0, factors=4)
    model.fit(table(users[shown], items[shown], values[shown]), 0)
    errors = []
    for number in range(20):
        mine = users == number
        state = replace(user(*items[mine & shown].tolist()), values=values[mine & shown][::-1].astype(np.float32))
        errors += [model.rating(state, int(item)) - values[mine][item - 1] for item in items[mine & ~shown]]
    # Taste and kind are balanced, so that biases explain nothing of the 1.5 either way.
    assert np.sqrt(np.mean(np.square(errors))) < 0.5


def test_more_sweeps_lower_the_objective():
    events = random_table(events=400)
    mean = float(events.values.mean())

    def error(sweeps):
        items = np.random.default_rng(0).normal(0, 0.1, (20, 5))
        alternate(items, events, mean, 1.0, sweeps)
        total = 0.0
        for number in range(12):
            mine = events.users == number
            vector = solve_one(items, events.items[mine], events.values[mine].astype(np.float64) - mean, 1.0)
            told = items[events.items[mine]]
            errors = events.values[mine] - mean - told[:, :-1] @ vector[:-1] - told[:, -1] - vector[-1]
            total += float(np.square(errors).sum() + np.square(vector).sum())
        return total + float(np.square(items[np.unique(events.items)]).sum())

    assert error(6) < error(1)


def test_ncf_gradient_equals_finite_differences():
    rng = np.random.default_rng(5)
    weights, labels = initial_weights(rng), np.array([1.0, 0.0, 1.0], np.float32)
    users, items = (initial_embeddings(3, rng) * 10 for _ in range(2))
    found = gradient(users, items, labels, weights)

    def loss():
        raw = np.array(
            [logits(users[row], prepare_items(items, weights), weights)[row] for row in range(3)], np.float64
        )
        return float(np.mean(np.logaddexp(0.0, raw) - labels * raw))

    pairs = [(users, found.users), (items, found.items), *zip(weights.all(), found.weights.all(), strict=True)]
    for array, slope in pairs:
        for place in rng.integers(0, array.size, 4):
            kept = array.flat[place]
            array.flat[place] = kept + 1e-2
            above = loss()
            array.flat[place] = kept - 1e-2
            below = loss()
            array.flat[place] = kept
            assert slope.flat[place] == pytest.approx((above - below) / 2e-2, abs=2e-3)


def test_lazy_adam_sums_repeated_rows_and_leaves_others_alone():
    rows, gradients = np.array([2, 0, 2]), np.array([[1.0], [3.0], [-5.0]], np.float32)
    moved = np.zeros((4, 1), np.float32)
    LazyAdam(moved.shape).step_rows(moved, rows, gradients, 0.1)
    assert moved[:, 0] == pytest.approx([-0.1, 0.0, 0.1, 0.0], abs=1e-4)


def test_ncf_learns_who_belongs_to_which_half_of_the_catalogue():
    rng = np.random.default_rng(6)
    users = rng.integers(0, 30, 1200)
    items = 1 + rng.integers(0, 15, 1200) + 15 * (users % 2)
    ncf = Ncf(31, 0, setting=20)
    ncf.fit(table(users, items), 0)
    for number in range(6):
        scores = ncf.scores(UserState(str(number)), 0)
        halves = scores[1:16].mean(), scores[16:].mean()
        assert int(np.argmax(halves)) == number % 2


def test_an_event_between_fits_moves_its_user_towards_the_item():
    ncf = Ncf(20, 0, setting=20)
    ncf.fit(random_table(), 0)

    def lead(user_id):
        scores = ncf.scores(UserState(user_id), 0)
        return scores[5] - scores[1:].mean()

    own, others = lead("3"), lead("4")
    for _ in range(30):
        ncf.learn(UserState("3"), 5, 4.0, 0)
    assert lead("3") > own
    assert lead("4") == pytest.approx(others, abs=1e-5)


def test_sasrec_in_numpy_equals_keras():
    from millrace.model.baselines.sasrec_network import SasrecNetwork

    network, rng = SasrecNetwork(TINY, rows=30, targets=3, dropout=0.5, seed=0), np.random.default_rng(8)
    for weight in network.trainable_weights:
        weight.assign(rng.normal(0.0, 0.3, weight.shape))
    network.use_rows(25)
    for length in (1, 2, 6, 9):
        history = rng.integers(1, 26, length).astype(np.int32)
        padded = np.concatenate([np.zeros(TINY.length, np.int32), history])[None, -TINY.length :]
        by_keras = np.array(network((padded,)))[0, -1]
        by_numpy = next_item_logits(network.weights_for_inference(), history)
        np.testing.assert_allclose(by_numpy[1:26], by_keras[1:26], rtol=1e-4, atol=1e-3)
        assert (by_keras[[0, 26, 29]] < -1e8).all()


def test_sasrec_positions_do_not_see_what_follows():
    from millrace.model.baselines.sasrec_network import SasrecNetwork

    network = SasrecNetwork(TINY, rows=30, targets=3, dropout=0.5, seed=0)
    ends = [np.array([[0, 3, 4, 5, 6, last]], np.int32) for last in (7, 8)]
    first, second = (np.array(network((history,)))[0] for history in ends)
    np.testing.assert_array_equal(first[:2], second[:2])
    assert np.abs(first[2] - second[2]).max() > 0


@pytest.mark.slow
def test_a_sasrec_fit_after_pickling_equals_one_without(monkeypatch):
    monkeypatch.setattr("millrace.model.baselines.sasrec._FIRST_EPOCHS", (1, 1))
    events = random_table(7, users=15, items=30, events=300)
    sasrec = Sasrec(30, 0, TINY)
    sasrec.fit(events.head(200), 0)
    copy = pickle.loads(pickle.dumps(sasrec))  # noqa: S301 - made one line above
    for one in (sasrec, copy):
        one.fit(events, 1)
    np.testing.assert_array_equal(sasrec.scores(user(4, 9), 0), copy.scores(user(4, 9), 0))


class Offset:
    """A fitted baseline whose best item is its setting; counts its fits."""

    refit_share = 0.5

    def __init__(self, setting):
        self.setting, self.fitted_to, self.users = setting, [], []

    def scores(self, state, now_ms):
        self.users.append(state.user_id)
        return -np.abs(np.arange(40.0) - self.setting)

    def learn(self, before, item, value, ts_ms):
        self.users.append(before.user_id)

    def fit(self, events, seed):
        self.fitted_to.append(len(events))


def test_the_setting_chosen_is_the_best_on_the_newest_tenth():
    users = np.arange(1000)
    events = table(users, np.where(users < 900, 35, 6))
    assert best_setting([35, 20, 6], Offset, events, 0) == 6
    assert best_setting([35, 20, 6], Offset, events.head(100), 0) == 20
