import numpy as np
import plain_features
import pytest
from small_world import NOW_MS, make_world

from millrace.kernel.user_state import UserState
from millrace.streams.ranking import CONTEXT_NAMES, FEATURE_NAMES, FusionWeights
from millrace.streams.ranking.features import context_of


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_features_equal_a_plain_recomputation(seed):
    world = make_world(items=300, events=700, seed=seed)
    state = world.users["u3"]
    batch = world.step.build([state], [NOW_MS], FusionWeights.default())
    size = int((batch.candidates[0] > 0).sum())
    for place in range(0, size, 7):
        item = int(batch.candidates[0, place])
        row = dict(zip(FEATURE_NAMES, batch.features[0, place].tolist(), strict=True))
        expected = plain_features.expected(world, state, item, NOW_MS)
        assert set(expected) == set(FEATURE_NAMES)
        for name, value in expected.items():
            assert row[name] == pytest.approx(value, rel=2e-3, abs=2e-3), (name, item)


def test_linear_scores_are_features_times_weights_and_fall():
    world = make_world(items=500, events=600)
    state = world.users["u1"]
    weights = FusionWeights.default()
    batch = world.step.build([state], [NOW_MS], weights)
    used = batch.candidates[0] > 0
    effective = weights.weights + batch.context[0] @ weights.context_weights
    assert batch.linear[0, used] == pytest.approx(batch.features[0, used] @ effective, rel=1e-4, abs=1e-4)
    assert (np.diff(batch.linear[0, used]) <= 0).all()


def test_a_request_changes_nothing_in_the_next():
    world = make_world(items=300, events=400)
    one, other = world.users["u1"], world.users["u2"]
    weights = FusionWeights.default()
    alone = world.step.build([one], [NOW_MS], weights)
    between = world.step.build([other, one, UserState("new"), one], [NOW_MS] * 4, weights)
    for row in (1, 3):
        assert np.array_equal(between.candidates[row], alone.candidates[0])
        assert np.array_equal(between.features[row], alone.features[0])


def test_the_context_names_bucket_gap_and_values():
    world = make_world(items=100, events=200)
    state = world.users["u1"]
    context = dict(zip(CONTEXT_NAMES, context_of(state, int(state.ts_ms[0]) + 60_000).tolist(), strict=True))
    assert context["gap_1"] == 1.0
    assert sum(value for name, value in context.items() if name.startswith("gap_")) == 1.0
    assert sum(value for name, value in context.items() if name.startswith("history_")) == 1.0
    assert context["last_value"] == pytest.approx(float(state.values[0]) - 3.5)
    assert context["mean_value"] == pytest.approx(state.mean_value - 3.5)


def test_an_unknown_user_has_the_first_bucket_and_the_longest_gap():
    context = dict(zip(CONTEXT_NAMES, context_of(UserState("new"), NOW_MS).tolist(), strict=True))
    assert {name for name, value in context.items() if value} == {"history_0", "gap_5"}
