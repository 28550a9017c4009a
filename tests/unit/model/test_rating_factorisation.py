"""Explicit factorisation, its sampler and the parts they share."""

import numpy as np
import pytest
from numpy.typing import NDArray

from millrace.kernel.errors import ConfigurationError
from millrace.model.rating.chain import Moods
from millrace.model.rating.consumption import leading_vectors
from millrace.model.rating.factorisation import RatingFactorisation
from millrace.model.rating.gibbs import Ratings, sample_predictions
from millrace.model.rating.sparse import grouped

USERS, ITEMS, RANK = 120, 80, 2


def low_rank(seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Every third rating of a matrix with biases, two factors and noise of 0.3 stars."""
    rng = np.random.default_rng(seed)
    users, items = map(np.ravel, np.meshgrid(np.arange(USERS), np.arange(ITEMS), indexing="ij"))
    p, q = rng.normal(0, 0.7, (USERS, RANK)), rng.normal(0, 0.7, (ITEMS, RANK))
    truth = 3.0 + rng.normal(0, 0.4, USERS)[users] + rng.normal(0, 0.4, ITEMS)[items] + (p[users] * q[items]).sum(1)
    kept = rng.random(len(users)) < 1 / 3
    return users[kept], items[kept], (truth + rng.normal(0, 0.3, len(users)))[kept]


def split(seed: int = 1) -> tuple[Ratings, NDArray[np.float64]]:
    users, items, values = low_rank(seed)
    asked = np.random.default_rng(seed).random(len(users)) < 0.2
    known = ~asked
    return Ratings(users[known], items[known], values[known], users[asked], items[asked]), values[asked]


def rmse(predicted: NDArray[np.float64], given: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(np.square(predicted - given))))


def test_factors_that_are_there_are_found_and_the_noise_with_them() -> None:
    ratings, given = split()
    biases = RatingFactorisation(0).fit(ratings.users, ratings.items, ratings.values)
    model = RatingFactorisation(4).fit(ratings.users, ratings.items, ratings.values)
    asked = ratings.asked_users, ratings.asked_items
    assert rmse(model.predict(*asked), given) < 0.45
    assert rmse(model.predict(*asked), given) < 0.7 * rmse(biases.predict(*asked), given)
    assert model.noise == pytest.approx(0.09, rel=0.5)


def test_without_factors_the_biases_are_those_of_ridge_regression() -> None:
    users, items = np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 1, 0, 1, 2])
    values = np.array([5.0, 4.0, 2.0, 4.5, 3.0, 1.0])
    model = RatingFactorisation(0, sweeps=300).fit(users, items, values)
    predicted = model.predict(users, items)
    assert np.corrcoef(predicted, values)[0, 1] > 0.8
    assert model.predict(np.array([9]), np.array([9]))[0] == pytest.approx(values.mean())


def test_nothing_to_learn_and_nothing_learned_are_told() -> None:
    empty = np.empty(0, np.int64)
    with pytest.raises(ConfigurationError, match="no ratings to factorise"):
        RatingFactorisation().fit(empty, empty, np.empty(0))
    with pytest.raises(ConfigurationError, match="call fit first"):
        RatingFactorisation().predict(empty, empty)


def test_the_sampler_predicts_at_least_as_well_as_one_point_estimate() -> None:
    ratings, given = split()
    nothing = np.zeros((USERS, 1)), np.zeros((ITEMS, 1))
    sampled = sample_predictions(ratings, *nothing, [], RANK + 2, 30, 60, 0, (-10.0, 10.0))
    assert rmse(sampled, given) < 0.42
    again = sample_predictions(ratings, *nothing, [], RANK + 2, 30, 60, 0, (-10.0, 10.0))
    np.testing.assert_array_equal(sampled, again)


def test_features_tell_of_users_without_ratings() -> None:
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 2, USERS)
    users, items, values = low_rank(2)
    values = values + 1.5 * kind[users]
    new = users >= USERS - 30
    ratings = Ratings(users[~new], items[~new], values[~new], users[new], items[new])
    nothing = np.zeros((ITEMS, 1))
    with_kind = sample_predictions(ratings, np.eye(2)[kind], nothing, [], 2, 30, 40, 0, (-10.0, 10.0))
    without = sample_predictions(ratings, np.zeros((USERS, 1)), nothing, [], 2, 30, 40, 0, (-10.0, 10.0))
    assert rmse(with_kind, values[new]) < rmse(without, values[new]) - 0.1


def test_moods_follow_a_path_and_predict_between_its_points() -> None:
    rng = np.random.default_rng(3)
    places = np.arange(400.0)
    path = np.sin(places / 20)
    known = rng.random(400) < 0.5
    order = np.concatenate([np.flatnonzero(known), np.flatnonzero(~known)])
    values = (path + rng.normal(0, 0.3, 400))[known]
    moods = Moods(np.zeros(400, np.int64), places[order], int(known.sum()), np.array([1.0, 8.0, 64.0]))
    drawn = []
    for _ in range(80):
        moods.draw(values, 0.09, rng)
        drawn.append(moods.values[known.sum() :].copy())
    assert rmse(np.mean(drawn[20:], axis=0), path[~known]) < 0.2
    assert moods.length > 1.0


def test_grouping_keeps_every_rating_with_its_group() -> None:
    groups, others = np.array([2, 0, 2, 2]), np.array([5, 6, 7, 8])
    ratings = grouped(groups, others, 4)
    assert ratings.starts.tolist() == [0, 1, 1, 4, 4]
    assert ratings.others.tolist() == [6, 5, 7, 8]
    assert ratings.order.tolist() == [1, 0, 2, 3]


def test_leading_vectors_are_those_of_a_dense_decomposition() -> None:
    rng = np.random.default_rng(0)
    dense = np.where(rng.random((30, 20)) < 0.3, rng.normal(size=(30, 20)), 0.0)
    dense += 3 * np.outer(rng.normal(size=30), rng.normal(size=20)) * (dense != 0)
    rows, columns = np.nonzero(dense)
    left, right, singular = leading_vectors(rows, columns, dense[rows, columns], 30, 20, 3, 0)
    expected = np.linalg.svd(dense)[1][:3]
    np.testing.assert_allclose(singular, expected, rtol=1e-6)
    np.testing.assert_allclose(dense @ right, left, atol=1e-5)
