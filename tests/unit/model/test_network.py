"""What the network promises to whoever sends it a request."""

import numpy as np
import pytest

from millrace.model.network.attention import gap_bucket
from millrace.model.network.recommender import Recommender
from millrace.model.onnx_export import Tensors, random_request
from millrace.streams.scoring.scorer import CANDIDATES, HISTORY_TENSOR_LENGTH, PROPOSALS, RANKED
from tests.unit.model.small import ITEMS, small_recommender


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    return small_recommender()


@pytest.fixture
def request_() -> Tensors:
    return random_request(small_recommender(), 5, 64, 0.7, np.random.default_rng(11))


def answer(recommender: Recommender, request: Tensors) -> Tensors:
    return {name: np.asarray(value) for name, value in recommender(request).items()}


def states(recommender: Recommender, request: Tensors, queries: int) -> np.ndarray:
    newest = slice(-recommender.config.length, None)
    history, values, age = (request[name][:, newest] for name in ("history", "history_value", "history_age"))
    ahead = np.concatenate([age[:, :-1] - age[:, 1:], age[:, -1:]], axis=1)
    return np.asarray(recommender.states(history, values, age, ahead, queries))


def test_shapes_are_those_of_the_protocol(recommender: Recommender, request_: Tensors) -> None:
    got = answer(recommender, request_)
    assert {name: value.shape for name, value in got.items()} == {
        "items": (5, RANKED),
        "scores": (5, RANKED),
        "predicted_ratings": (5, RANKED),
        "because": (5, RANKED),
        "proposals": (5, PROPOSALS),
    }


def test_two_calls_say_the_same(recommender: Recommender, request_: Tensors) -> None:
    first, second = answer(recommender, request_), answer(recommender, request_)
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


def test_lists_hold_candidates_once_and_in_order(recommender: Recommender, request_: Tensors) -> None:
    got = answer(recommender, request_)
    assert (np.diff(got["scores"], axis=1) <= 0).all()
    for user in range(5):
        listed = got["items"][user][got["items"][user] > 0]
        assert len(set(listed.tolist())) == len(listed)
        assert set(listed.tolist()) <= set(request_["candidates"][user].tolist())
    assert ((got["predicted_ratings"] >= 0.5) & (got["predicted_ratings"] <= 5)).all()


def test_fewer_candidates_than_places_leave_zeros_at_the_end(recommender: Recommender, request_: Tensors) -> None:
    request_["candidates"][:, 7:] = 0
    got = answer(recommender, request_)
    assert (got["items"][:, :7] > 0).all()
    assert (got["items"][:, 7:] == 0).all()


def test_proposals_leave_out_excluded_items_and_padding(recommender: Recommender, request_: Tensors) -> None:
    free = answer(recommender, request_ | {"exclude": np.zeros((5, 64), np.int32)})["proposals"]
    assert (free > 0).all()
    assert (free <= ITEMS).all()
    got = answer(recommender, request_ | {"exclude": free})["proposals"]
    for user in range(5):
        assert not set(got[user].tolist()) & set(free[user].tolist())


def test_proposals_are_the_best_of_the_catalogue(recommender: Recommender, request_: Tensors) -> None:
    logits = np.asarray(recommender.logits(recommender.hidden(request_)))
    for user in range(5):
        allowed = np.setdiff1d(np.arange(1, ITEMS + 1), request_["exclude"][user])
        best = allowed[np.argsort(-logits[user, allowed])][:PROPOSALS]
        got = answer(recommender, request_)["proposals"][user]
        np.testing.assert_array_equal(got[: len(best)], best)


def test_a_user_with_everything_excluded_gets_no_proposals(recommender: Recommender, request_: Tensors) -> None:
    everything = np.tile(np.arange(1, ITEMS + 1, dtype=np.int32), (5, 1))
    got = answer(recommender, request_ | {"exclude": everything})
    assert (got["proposals"] == 0).all()
    assert (got["items"] > 0).any()


def test_an_empty_history_has_no_because(recommender: Recommender, request_: Tensors) -> None:
    empty = {name: np.zeros_like(request_[name]) for name in ("history", "history_value", "history_age")}
    got = answer(recommender, request_ | empty)
    assert (got["because"] == -1).all()
    assert (got["items"] > 0).any()


def test_because_names_the_entry_with_the_largest_dot_product(recommender: Recommender, request_: Tensors) -> None:
    got, vectors = answer(recommender, request_), np.asarray(recommender.vectors)
    known = np.where(request_["history"] > ITEMS, 0, request_["history"])
    for user in range(5):
        for item, place in zip(got["items"][user], got["because"][user], strict=True):
            said = vectors[known[user]] @ vectors[item if item <= ITEMS else 0]
            if said.max() <= 0:
                assert place == -1
            else:
                assert said[place] == pytest.approx(said.max(), rel=1e-4)


def test_a_state_depends_on_no_later_entry(recommender: Recommender, request_: Tensors) -> None:
    before = states(recommender, request_, 50)
    request_["history"][:, -1] = np.where(request_["history"][:, -1] == 5, 6, 5)
    request_["history_value"][:, -1] = 1.0
    after = states(recommender, request_, 50)
    np.testing.assert_allclose(before[:, :-1], after[:, :-1], atol=1e-6)
    assert np.abs(before[:, -1] - after[:, -1]).max() > 1e-3


def test_computing_the_last_position_only_changes_nothing(recommender: Recommender, request_: Tensors) -> None:
    np.testing.assert_allclose(
        states(recommender, request_, 1)[:, 0], states(recommender, request_, 50)[:, -1], atol=1e-5
    )


def test_the_encoder_reads_the_newest_entries(recommender: Recommender, request_: Tensors) -> None:
    before = np.asarray(recommender.hidden(request_))
    request_["history"][:, : -recommender.config.length] = 1
    after = np.asarray(recommender.hidden(request_))
    assert request_["history"].shape[1] == HISTORY_TENSOR_LENGTH > recommender.config.length
    np.testing.assert_array_equal(before, after)


def test_the_time_of_the_request_matters(recommender: Recommender, request_: Tensors) -> None:
    later = request_ | {"history_age": request_["history_age"] + 1e6}
    at_once = request_ | {"history_age": request_["history_age"] - request_["history_age"][:, -1:]}
    hidden = [np.asarray(recommender.hidden(request)) for request in (later, at_once)]
    assert np.abs(hidden[0] - hidden[1]).max() > 1e-3


def test_ratings_and_times_matter(recommender: Recommender, request_: Tensors) -> None:
    before = states(recommender, request_, 1)
    assert (
        np.abs(states(recommender, request_ | {"history_value": 5.5 - request_["history_value"]}, 1) - before).max()
        > 1e-3
    )
    assert (
        np.abs(states(recommender, request_ | {"history_age": request_["history_age"] ** 0.5}, 1) - before).max() > 1e-3
    )


def test_log_probabilities_are_those_of_a_softmax_with_a_floor(recommender: Recommender, request_: Tensors) -> None:
    logits = np.asarray(recommender.logits(recommender.hidden(request_)), np.float64)[:, : ITEMS + 1]
    share = np.exp(logits - logits.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    got = np.asarray(
        recommender.log_probabilities(recommender.logits(recommender.hidden(request_)), request_["candidates"])
    )
    for user in range(5):
        for item, log_prob in zip(request_["candidates"][user], got[user], strict=True):
            wanted = 1 / ITEMS if item > ITEMS else share[user, item] + 0.1 / ITEMS
            if item:
                assert log_prob == pytest.approx(np.log(wanted), abs=1e-3)


def test_an_item_never_trained_on_is_its_content_alone(recommender: Recommender) -> None:
    vectors = np.asarray(recommender.vectors)
    recommender.tower.delta.assign(np.asarray(recommender.tower.delta) + 1.0)
    recommender.bake()
    changed = np.abs(np.asarray(recommender.vectors) - vectors).max(axis=1)
    recommender.tower.delta.assign(np.asarray(recommender.tower.delta) - 1.0)
    recommender.bake()
    assert (changed[1 : ITEMS // 2 + 1] > 0.5).all()
    assert (changed[ITEMS // 2 + 1 :] == 0).all()
    assert changed[0] == 0


def test_plain_weights_give_the_scores_of_the_linear_part(recommender: Recommender, request_: Tensors) -> None:
    ranker = recommender.ranker
    ranker.feature_scale.assign(np.linspace(0.5, 2, ranker.feature_scale.shape[0]))
    ranker.context_mean.assign(np.linspace(-1, 1, ranker.context_mean.shape[0]))
    last = np.asarray(ranker.last.kernel).copy()
    ranker.last.kernel.assign(np.zeros_like(last))
    log_prob = np.zeros((5, CANDIDATES), np.float32)
    got = np.asarray(ranker(request_["features"], log_prob, request_["context"], request_["candidates"]))
    ranker.last.kernel.assign(last)
    weights, by_context = ranker.plain_weights()
    for user in range(5):
        there = request_["candidates"][user] > 0
        effective = (weights + request_["context"][user] @ by_context)[:-1]
        wanted = request_["features"][user][there] @ effective
        np.testing.assert_allclose(got[user][there], wanted - wanted.mean(), atol=1e-3)


def test_gap_buckets_are_whole_powers_of_two() -> None:
    gaps = np.array([-5, 0, 1, 2, 3, 6.9, 7.1, 1000, 3e9], np.float32)
    np.testing.assert_array_equal(np.asarray(gap_bucket(gaps)), [0, 0, 1, 1, 2, 2, 3, 9, 31])
