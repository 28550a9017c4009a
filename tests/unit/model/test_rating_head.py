"""The rating head against an independent posterior, and what its training learns."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from millrace.model.backend import ops
from millrace.model.dataset.event_table import EventTable
from millrace.model.evaluation.rating_stream import rating_stream
from millrace.model.network.config import NetworkConfig
from millrace.model.network.rating_head import RatingHead
from millrace.model.rating.chebyshev import PRODUCTS, inverse_coefficients, solve
from millrace.model.rating.levels import fit_levels
from millrace.model.rating.process import (
    SETTING_NAMES,
    Older,
    Points,
    ProcessSettings,
    first_settings,
    observed,
    one_step_ahead,
)
from millrace.model.rating.rating_sequences import cut_sequences
from millrace.model.training.fit_rating_head import RatingPass, fit_rating_head, narrowed
from millrace.streams.ranking.features import CONTEXT_NAMES

ITEMS, LENGTH, WIDTH = 40, 12, 6
# Stars by which the served approximation may be off; people give halves.
TOLERANCE = 0.01
Request = tuple[NDArray[Any], ...]


def head(seed: int = 0) -> RatingHead:
    rng = np.random.default_rng(seed)
    made = RatingHead(NetworkConfig(items=ITEMS, features=1, context=len(CONTEXT_NAMES), width=WIDTH, length=LENGTH))
    made.bias.assign(rng.normal(0, 0.3, made.bias.shape))
    made.noise.assign(rng.uniform(0.5, 0.9, made.noise.shape))
    made.factors.assign(rng.normal(0, 0.2, made.factors.shape))
    made.settings.assign(first_settings() + rng.normal(0, 0.1, len(SETTING_NAMES)))
    return made


def request(entries: int, seed: int = 1, events: int | None = None, mean: float = 3.8) -> Request:
    """One user's tensors; `events` more than `entries` means that the history holds only the newest."""
    rng = np.random.default_rng(seed)
    items, values, ages = np.zeros((1, LENGTH), np.int32), np.zeros((1, LENGTH)), np.zeros((1, LENGTH))
    if entries:
        items[0, -entries:] = rng.choice(ITEMS, entries, replace=False) + 1
        values[0, -entries:] = rng.integers(1, 11, entries) / 2
        ages[0, -entries:] = np.sort(rng.exponential(5000, entries))[::-1]
    context = np.zeros((1, len(CONTEXT_NAMES)), np.float32)
    count = entries if events is None else events
    total_mean = values.sum() / max(entries, 1) if events is None else mean
    context[0, CONTEXT_NAMES.index("log_history")] = np.log1p(count) / 5
    context[0, CONTEXT_NAMES.index("mean_value")] = total_mean - 3.5
    wanted = np.array([[1, ITEMS, 7]], np.int32)
    return values.astype(np.float32), items, ages.astype(np.float32), context, wanted


def exact(made: RatingHead, values: Any, items: Any, ages: Any, context: Any, wanted: Any) -> NDArray[np.float64]:
    """The posterior mean, entry by entry in float64."""
    named = ProcessSettings(np.asarray(made.settings, np.float64))
    s = {name: float(getattr(named, name)) for name in SETTING_NAMES}
    bias, noise, factors = (np.asarray(table, np.float64) for table in (made.bias, made.noise, made.factors))
    entries = [
        (int(i), float(a), n, float(v))
        for n, (i, a, v) in enumerate(zip(items[0], ages[0], values[0], strict=True))
        if i
    ]

    def kernel(one: tuple[int, float, int], other: tuple[int, float, int]) -> float:
        seconds, places = abs(one[1] - other[1]), abs(one[2] - other[2])
        level = s["level"] + s["slow"] * np.exp(-seconds / s["slow_s"])
        level += s["session"] * np.exp(-seconds / s["session_s"]) + s["recent"] * np.exp(-places / s["recent_places"])
        taste = factors[one[0]] @ factors[other[0]]
        return float(level + taste * (1 + s["taste_recent"] * np.exp(-places / s["taste_places"])))

    count = np.expm1(float(context[0, CONTEXT_NAMES.index("log_history")]) * 5)
    older, mean = max(round(count - len(entries)), 0), float(made.mean)
    points = [entry[:3] for entry in entries]
    rest = [v - mean - bias[i] for i, _, _, v in entries]
    matrix = np.array([[kernel(one, other) for other in points] for one in points]).reshape(len(points), len(points))
    matrix += np.diag([noise[i] for i, _, _ in points]) if points else 0.0
    cross = np.array([[kernel((int(i), 0.0, LENGTH), point) for point in points] for i in wanted[0]])
    cross = cross.reshape(wanted.shape[1], len(points))
    if older:
        total = (float(context[0, CONTEXT_NAMES.index("mean_value")]) + 3.5) * count - values.sum()
        rest = [total / older - mean, *rest]
        corner = s["level"] + s["older_noise"] + s["older_share"] / older
        edge = np.full(len(points), s["level"])
        matrix = np.block([[np.array([[corner]]), edge[None]], [edge[:, None], matrix]])
        cross = np.hstack([np.full((len(cross), 1), s["level"]), cross])
    taste = cross @ np.linalg.solve(matrix, rest) if len(rest) else 0.0
    predicted: NDArray[np.float64] = np.clip(mean + bias[wanted[0]] + taste, 0.5, 5.0)
    return predicted


@pytest.mark.parametrize(("entries", "events"), [(0, None), (1, None), (7, None), (LENGTH, None), (LENGTH, 300)])
def test_a_prediction_is_the_posterior_mean(entries: int, events: int | None) -> None:
    made, tensors = head(), request(entries, events=events)
    np.testing.assert_allclose(np.asarray(made(*tensors))[0], exact(made, *tensors), atol=TOLERANCE)


def test_an_item_newer_than_the_version_counts_as_an_average_unknown_one() -> None:
    made, (values, items, ages, context, _) = head(), request(5)
    asked = np.asarray(made(values, items, ages, context, np.array([[ITEMS + 1, ITEMS + 99, 0]], np.int32)))[0]
    assert asked[0] == asked[1] == asked[2]
    known = np.where(items > 0, ITEMS + 3, 0).astype(np.int32)
    assert np.isfinite(np.asarray(made(values, known, ages, context, np.array([[1]], np.int32)))).all()


def test_without_history_a_rating_is_mean_and_bias() -> None:
    made = head()
    made.settings.assign(first_settings())
    got = np.asarray(made(*request(0)))[0]
    np.testing.assert_allclose(got, float(made.mean) + np.asarray(made.bias)[[1, ITEMS, 7]], atol=1e-5)


def test_users_of_a_batch_do_not_touch_each_other() -> None:
    made, one, other = head(), request(5, seed=1), request(9, seed=2)
    together = np.asarray(made(*(np.concatenate(pair) for pair in zip(one, other, strict=True))))
    np.testing.assert_allclose(together[0], np.asarray(made(*one))[0], atol=1e-5)
    np.testing.assert_allclose(together[1], np.asarray(made(*other))[0], atol=1e-5)


def test_a_system_as_noisy_as_ratings_are_is_solved_to_a_hundredth() -> None:
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(3, 50, 8)) * 0.1
    matrix = (factors @ factors.transpose(0, 2, 1) + 0.06 + 0.6 * np.eye(50)).astype(np.float32)
    right = rng.normal(size=(3, 1, 50)).astype(np.float32)
    got = np.asarray(solve(*map(ops.convert_to_tensor, (matrix, right, np.ones_like(right)))))
    wanted = np.linalg.solve(matrix, right.transpose(0, 2, 1)).transpose(0, 2, 1)
    assert np.linalg.norm(got - wanted) < 0.01 * np.linalg.norm(wanted)


def test_a_system_leaves_out_what_is_not_there() -> None:
    rng = np.random.default_rng(1)
    matrix = (0.06 + np.diag(rng.uniform(0.5, 0.9, 20))).astype(np.float32)[None]
    right = rng.normal(size=(1, 1, 20)).astype(np.float32)
    there = (np.arange(20) >= 8).astype(np.float32)[None, None]
    got = np.asarray(solve(*map(ops.convert_to_tensor, (matrix, right, there))))[0, 0]
    np.testing.assert_array_equal(got[:8], 0.0)
    np.testing.assert_allclose(got[8:], np.linalg.solve(matrix[0, 8:, 8:], right[0, 0, 8:]), rtol=0.01, atol=0.01)
    nothing = np.asarray(solve(*map(ops.convert_to_tensor, (matrix, right, np.zeros_like(right)))))
    np.testing.assert_array_equal(nothing, 0.0)


def test_the_polynomial_is_near_the_inverse_and_overshoots_for_no_spectrum() -> None:
    spectrum = np.linspace(1e-4, 1.0, 500)
    angles = np.arccos((2 * spectrum - 1.15) / 0.85 + 0j)
    reached = spectrum * (inverse_coefficients() @ np.cos(np.outer(np.arange(PRODUCTS + 1), angles))).real
    assert np.abs(1 - reached).max() < 1.0
    assert np.abs(1 - reached[spectrum >= 0.15]).max() < 0.01


def test_one_step_ahead_errors_are_those_of_the_head_on_growing_histories() -> None:
    made, (values, items, ages, context, _) = head(), request(LENGTH)
    there = np.ones((1, LENGTH), np.float32)
    given = Points(
        factors=ops.take(made.factors, items, axis=0),
        bias=ops.take(made.bias, items, axis=0),
        noise=ops.take(made.noise, items, axis=0),
        age=ages,
        place=np.arange(LENGTH, dtype=np.float32),
        there=there,
    )
    older, settings = Older(np.zeros(1, np.float32), np.zeros(1, np.float32)), ProcessSettings(made.settings)
    rest = observed(made.mean, given, values, older)
    errors = np.asarray(one_step_ahead(settings, given, older, rest)[0])[0]
    for known in (0, 4, LENGTH - 1):
        cut = np.zeros((4, 1, LENGTH), np.float32)
        if known:
            cut[0, 0, -known:], cut[1, 0, -known:] = values[0, :known], items[0, :known]
            cut[2, 0, -known:] = ages[0, :known] - ages[0, known]
        context[0, CONTEXT_NAMES.index("log_history")] = np.log1p(known) / 5
        wanted = items[:, known : known + 1]
        predicted = exact(made, cut[0], cut[1].astype(np.int32), cut[2], context, wanted)
        if 0.5 < predicted[0] < 5.0:
            assert values[0, known] - predicted[0] == pytest.approx(errors[known], abs=2e-3)


def test_fewer_factors_keep_the_inner_products_that_there_are() -> None:
    rng = np.random.default_rng(0)
    wide = (rng.normal(size=(30, 4)) @ rng.normal(size=(4, 20))).astype(np.float32)
    np.testing.assert_allclose((less := narrowed(wide, 5)) @ less.T, wide @ wide.T, rtol=1e-3, atol=1e-3)


def tastes(users: int, each: int, seed: int) -> tuple[EventTable, NDArray[np.float32]]:
    """Users who like even items or odd ones by a star, whatever the item's own bias; content tells which it is."""
    rng = np.random.default_rng(seed)
    user, side = np.repeat(np.arange(users), each), rng.choice([-1, 1], users)
    items = np.concatenate([rng.choice(ITEMS, each, replace=False) + 1 for _ in range(users)])
    bias = rng.normal(0, 0.4, ITEMS + 1)
    values = 3.0 + bias[items] + side[user] * np.where(items % 2, 0.8, -0.8) + rng.normal(0, 0.3, len(user))
    order = np.argsort(rng.random(len(user)), kind="stable")
    content = np.zeros((ITEMS + 1, 31), np.float32)
    content[1:, 29] = np.arange(1, ITEMS + 1) % 2
    content[1:, 30] = 1.0
    table = EventTable(
        user[order].astype(np.int32),
        items[order].astype(np.int32),
        np.clip(values, 0.5, 5.0)[order].astype(np.float32),
        np.arange(len(user), dtype=np.int64) * 60_000,
    )
    return table, content


def test_training_finds_the_taste_and_a_refresh_goes_on_from_there() -> None:
    events, content = tastes(80, 20, 0)
    made = RatingHead(NetworkConfig(items=ITEMS, features=1, context=len(CONTEXT_NAMES)))
    first = fit_rating_head(made, content, events, RatingPass(epochs=6, learning_rate=0.05), seed=0)
    again = fit_rating_head(made, content, events, seed=0)
    assert first < 0.9 * float(np.std(events.values))
    assert again < first
    assert float(made.mean) == pytest.approx(events.values.mean(), abs=1e-4)
    assert np.isfinite(np.asarray(made.factors)).all()


def test_too_few_ratings_leave_the_head_as_it_is() -> None:
    events, content = tastes(2, 10, 0)
    made = head()
    before = [np.asarray(weight).copy() for weight in made.weights]
    assert np.isnan(fit_rating_head(made, content, events))
    for weight, kept in zip(made.weights, before, strict=True):
        np.testing.assert_array_equal(weight, kept)


def test_what_comes_later_changes_no_earlier_prediction() -> None:
    events, content = tastes(30, 12, 1)
    first, seen = 300, 330
    rng = np.random.default_rng(0)
    later = seen + rng.permutation(len(events) - seen)
    rows = np.concatenate([np.arange(seen), later])
    shuffled = dataclasses.replace(
        events, users=events.users[rows], items=events.items[rows], values=events.values[rows]
    )
    one = rating_stream(events, content, (), first, len(events), seed=0)
    other = rating_stream(shuffled, content, (), first, len(events), seed=0)
    np.testing.assert_array_equal(one.predicted[: seen - first], other.predicted[: seen - first])
    np.testing.assert_array_equal(one.bias[: seen - first], other.bias[: seen - first])
    assert not np.array_equal(one.predicted[seen - first :], other.predicted[seen - first :])


def test_sequences_grade_every_rating_once_and_leave_it_out_of_what_is_known_of_its_item() -> None:
    events, _ = tastes(20, 20, 2)
    levels = fit_levels(events, ITEMS + 1)
    cut = cut_sequences(events, levels, 11, 5, 10_000, np.random.default_rng(0))
    assert cut.graded.sum() == len(events)
    np.testing.assert_array_equal(cut.count[cut.item > 0], levels.count[cut.item[cut.item > 0]] - 1)
    newest = cut.older_count + (cut.item > 0).sum(axis=1)
    assert newest.max() == 20
    assert cut.older_mean[cut.older_count == 0].max() == 0.0
