"""The encoder's own training: its softmax, its steps, what it makes of items that nobody touched."""

import numpy as np
import pytest

from millrace.model.backend import keras, ops
from millrace.model.dataset.event_table import EventTable
from millrace.model.dataset.windows import cut_windows
from millrace.model.network.recommender import Recommender
from millrace.model.training.adamw import FusedAdamW
from millrace.model.training.encoder_grade import grade_encoder
from millrace.model.training.encoder_trainer import (
    EncoderPass,
    EncoderTrainer,
    batches_of_like_length,
    mark_trained,
    rate_share,
    softmax_rows,
)
from millrace.model.training.new_items import first_touch_share, fit_new_items
from millrace.model.training.progress import silent
from tests.unit.model.small import ITEMS, small_recommender

LENGTH = 50


def walk(users: int, steps: int, items: int, seed: int) -> EventTable:
    """Users who always go on to the item three further."""
    rng = np.random.default_rng(seed)
    start = rng.integers(0, items, users)
    step, user = np.divmod(np.arange(users * steps), users)
    return EventTable(
        user.astype(np.int32),
        ((start[user] + 3 * step) % items + 1).astype(np.int32),
        np.full(len(user), 4.0, np.float32),
        (np.arange(len(user)) * 1000).astype(np.int64),
    )


@pytest.fixture
def recommender() -> Recommender:
    recommender = small_recommender()
    for weight in (recommender.tower.trained, recommender.tower.bias, recommender.tower.delta):
        weight.assign(np.zeros(weight.shape, np.float32))
    return recommender


def test_the_softmax_has_every_trained_item_and_weighs_the_sample_of_the_others() -> None:
    trained = np.zeros(2001, bool)
    trained[[3, 700, 1999]] = True
    softmax = softmax_rows(trained, 2000, np.random.default_rng(0))
    assert softmax.rows[0] == 0
    assert {3, 700, 1999} <= set(softmax.rows.tolist())
    assert (softmax.rows[softmax.places[[3, 700, 1999]]] == [3, 700, 1999]).all()
    stands_for = np.exp(softmax.log_weights[1:]).sum()
    assert stands_for == pytest.approx(2000, rel=1e-5)


def test_a_new_item_starts_at_the_level_of_the_trained_ones(recommender: Recommender) -> None:
    table = walk(users=40, steps=10, items=60, seed=0)
    windows = cut_windows(table, LENGTH, 10)
    mark_trained(recommender, windows)
    tower = recommender.tower
    counts = np.bincount(table.items, minlength=ITEMS + 1)
    np.testing.assert_allclose(np.asarray(tower.bias)[1:61], np.log(counts[1:61] + 0.5), rtol=1e-5)
    tower.bias.assign(np.asarray(tower.bias) + 2.0)
    more = walk(users=40, steps=10, items=61, seed=1)
    mark_trained(recommender, cut_windows(more, LENGTH, 10))
    bias = np.asarray(tower.bias)
    assert bias[61] == pytest.approx(bias[1:61].mean(), abs=1.0)
    assert np.asarray(tower.trained)[1:62].all()
    assert not np.asarray(tower.trained)[62:].any()


def test_the_rate_rises_and_falls() -> None:
    shares = [rate_share(step, 100) for step in range(100)]
    assert shares[0] < shares[5] < max(shares) <= 1.0
    assert shares[-1] < 0.12
    assert all(share > 0 for share in shares)
    assert rate_share(0, 1) > 0


def test_training_finds_what_comes_next_and_a_kept_trainer_goes_on(recommender: Recommender) -> None:
    table = walk(users=60, steps=20, items=90, seed=0)
    windows = cut_windows(table, LENGTH, 10)
    trainer = EncoderTrainer(recommender, windows, seed=0)
    told: list[float] = []
    first = trainer.run(windows, EncoderPass(4, 5e-3), 0, lambda phase, share: told.append(share))
    assert told[-1] == 1.0
    assert np.diff(told).min() > 0
    grown = walk(users=60, steps=25, items=90, seed=0)
    longer = cut_windows(grown, LENGTH, 10)
    trainer.cover(longer, seed=1)
    newest = longer.take(np.flatnonzero(longer.newest >= len(table)))
    assert trainer.run(newest, EncoderPass(2, 5e-3), 1, silent) < first < np.log(90)
    grade = grade_encoder(recommender, grown, len(table))
    assert grade.events == len(grown) - len(table)
    assert grade.hit_rate > 0.5
    assert 0 < grade.ndcg <= grade.hit_rate


def test_the_grade_leaves_touched_items_out_and_counts_new_ones(recommender: Recommender) -> None:
    recommender.bake()
    table = EventTable(
        np.zeros(4, np.int32),
        np.array([5, 6, 5, 7], np.int32),
        np.full(4, 3.0, np.float32),
        np.arange(4, dtype=np.int64) * 1000,
    )
    trained = np.zeros(ITEMS + 1, np.float32)
    trained[[5, 6]] = 1.0
    recommender.tower.trained.assign(trained)
    grade = grade_encoder(recommender, table, 0)
    assert (grade.events, grade.new_events) == (3, 1)
    assert grade_encoder(recommender, table, 2).events == 1
    assert np.isfinite(grade.log_loss)


def test_untouched_items_get_the_share_that_the_log_tells(recommender: Recommender) -> None:
    table = walk(users=50, steps=8, items=150, seed=2)
    windows = cut_windows(table, LENGTH, 10)
    mark_trained(recommender, windows)
    fit_new_items(recommender, windows)
    states = recommender.states(windows.history, windows.value, windows.age, windows.ahead * 0, 1)[:, 0]
    logits = np.asarray(recommender.logits(states), np.float64)[:, 1 : ITEMS + 1]
    shares = np.exp(logits - np.logaddexp.reduce(logits, axis=1)[:, None])
    untrained = np.asarray(recommender.tower.trained)[1 : ITEMS + 1] == 0
    assert untrained.sum() >= ITEMS / 2
    assert shares[:, untrained].sum(axis=1).mean() == pytest.approx(first_touch_share(windows), rel=1e-3)


def test_first_touches_are_counted_in_the_newest_quarter() -> None:
    items = np.array([1, 2, 1, 2, 1, 2, 3, 1], np.int32)
    table = EventTable(
        np.arange(8, dtype=np.int32) % 2, items, np.ones(8, np.float32), np.arange(8, dtype=np.int64) * 1000
    )
    assert first_touch_share(cut_windows(table, 5, 2)) == pytest.approx(1 / 3)


def test_the_fused_optimizer_does_what_keras_does() -> None:
    rng = np.random.default_rng(4)
    start = [rng.normal(size=shape).astype(np.float32) for shape in ((7, 3), (5,), ())]
    own, reference = ([keras.Variable(value) for value in start] for _ in range(2))
    fused = FusedAdamW(own, weight_decay=0.05, clip_norm=1.0)
    usual = keras.optimizers.AdamW(0.01, weight_decay=0.05, clipnorm=1.0)
    usual.build(reference)
    for scale in (0.1, 3.0, 1.0):
        gradients = [ops.convert_to_tensor(rng.normal(0, scale, value.shape).astype(np.float32)) for value in start]
        fused.apply(gradients, 0.01)
        usual.apply(gradients, reference)
    for got, wanted, before in zip(own, reference, start, strict=True):
        np.testing.assert_allclose(np.asarray(got), np.asarray(wanted), rtol=1e-4, atol=1e-6)
        assert np.abs(np.asarray(got) - before).max() > 0.01


def test_batches_hold_each_window_once_and_windows_of_like_length_together() -> None:
    rng = np.random.default_rng(3)
    lengths = rng.integers(1, 60, 40)
    table = EventTable(
        np.repeat(np.arange(40), lengths).astype(np.int32),
        np.ones(lengths.sum(), np.int32),
        np.ones(lengths.sum(), np.float32),
        np.arange(lengths.sum(), dtype=np.int64),
    )
    windows = cut_windows(table, 60, 60)
    batches = batches_of_like_length(windows, 8, rng)
    assert sorted(np.concatenate(batches).tolist()) == list(range(40))
    spread = [np.ptp((windows.history[rows] > 0).sum(axis=1)) for rows in batches]
    assert np.mean(spread) < 25


def test_a_shorter_history_tensor_gives_the_same_states(recommender: Recommender) -> None:
    windows = cut_windows(walk(users=5, steps=20, items=60, seed=0), LENGTH, 10)
    recommender.bake()
    states = [
        np.asarray(recommender.states(part.history, part.value, part.age, part.ahead, 10))
        for part in (windows, windows.cropped())
    ]
    assert windows.cropped().history.shape[1] < LENGTH
    np.testing.assert_allclose(states[0], states[1], atol=1e-5)
