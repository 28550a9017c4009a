from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_world import NOW_MS, item, make_world, with_touched

from millrace.kernel.errors import FatalError
from millrace.kernel.user_state import UserState
from millrace.streams.ranking import CandidateStep, FusionWeights
from millrace.streams.scoring.scorer import CANDIDATES, HISTORY_TENSOR_LENGTH
from millrace.streams.statistics import ItemStatistics


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), share=st.floats(0.0, 0.97), hidden=st.floats(0.0, 0.5))
def test_touched_and_unavailable_items_are_never_candidates(seed, share, hidden):
    world = make_world(items=120, events=150, seed=seed)
    random = np.random.default_rng(seed)
    for index in np.flatnonzero(random.random(121) < hidden).tolist():
        if index:
            world.catalogue.upsert(index, item(index, available=False))
    state = with_touched(world.users["u0"], np.flatnonzero(random.random(121) < share)[1:])
    candidates = world.candidates_of(state)
    assert len(set(candidates)) == len(candidates)
    assert not set(candidates) & set(state.touched.tolist())
    assert all(world.catalogue.available[candidates])
    allowed = world.catalogue.available.sum() - world.catalogue.available[state.touched].sum()
    assert len(candidates) >= min(10, allowed)


def test_a_user_with_2000_touched_of_9700_has_a_full_list():
    world = make_world(items=9_700, events=3_000)
    popular = world.statistics.popularity_order()[:2_000]
    state = with_touched(world.users["u0"], popular)
    candidates = world.candidates_of(state)
    assert len(candidates) >= 100
    assert not set(candidates) & set(state.touched.tolist())


def test_an_unknown_user_gets_popular_items():
    world = make_world(items=2_000, events=2_000)
    top = world.candidates_of(UserState("nobody"))[:10]
    median = np.median(world.statistics.popularity.counts[1:2001])
    assert len(top) == 10
    assert all(world.statistics.popularity.counts[top] > median)


def test_an_empty_system_recommends_what_the_catalogue_has():
    world = make_world(items=30, events=0)
    assert sorted(world.candidates_of(UserState("nobody"))) == list(range(1, 31))


def test_a_system_without_items_recommends_nothing():
    assert make_world(items=0, events=0).candidates_of(UserState("nobody")) == []


def test_an_item_added_a_moment_ago_is_a_candidate():
    world = make_world(items=1_500, events=1_000)
    state = world.users["u2"]
    world.candidates_of(state)
    world.catalogue.upsert(1_501, item(1_501))
    assert 1_501 in world.candidates_of(state)


def test_proposals_are_candidates_unless_touched_or_out_of_range():
    world = make_world(items=3_000, events=500)
    state = world.users["u2"]
    unseen = np.flatnonzero(world.statistics.popularity.counts[1:3001] == 0)[100:110] + 1
    touched = int(state.touched[0])
    proposed = replace(state, proposals=np.append(unseen, [touched, 0, 10**6]).astype(np.int32))
    candidates = world.candidates_of(proposed)
    assert set(unseen.tolist()) <= set(candidates)
    assert touched not in candidates


def test_history_names_items_the_catalogue_does_not_know_yet():
    world = make_world(items=50, events=50)
    state = world.event("u0", 5_000)
    candidates = world.candidates_of(state)
    assert candidates
    assert 5_000 not in world.candidates_of(world.users["u1"])


def test_read_only_states_are_accepted():
    world = make_world(items=300, events=300)
    state = world.users["u1"]
    for array in (state.items, state.values, state.ts_ms, state.touched):
        array.flags.writeable = False
    assert world.candidates_of(state)


def test_the_request_pads_history_on_the_left_and_excludes_touched_and_unavailable():
    world = make_world(items=200, events=150)
    world.catalogue.upsert(7, item(7, available=False))
    states = [world.users["u1"], UserState("nobody")]
    batch = world.step.build(states, [NOW_MS, NOW_MS], FusionWeights.default())
    request = batch.request()
    length = min(len(states[0].items), HISTORY_TENSOR_LENGTH)
    assert request.history[0, -1] == states[0].items[0]
    assert request.history_age[0, -1] == pytest.approx((NOW_MS - states[0].ts_ms[0]) / 1000)
    assert request.history_value[0, -length] == states[0].values[length - 1]
    assert not request.history[0, : HISTORY_TENSOR_LENGTH - length].any()
    assert not request.history[1].any()
    assert set(request.exclude[0][request.exclude[0] > 0].tolist()) == {7, *states[0].touched.tolist()}
    assert request.exclude.shape == (2, 64)
    assert request.candidates.shape == (2, CANDIDATES)


def test_needed_pages_are_the_newest_forty_of_each_user():
    world = make_world(items=100, events=900, users=3)
    states = [world.users["u0"], world.users["u1"], UserState("nobody")]
    wanted = {*states[0].items[:40].tolist(), *states[1].items[:40].tolist()}
    assert sorted(world.step.needed_pages(states)) == sorted(wanted)
    assert world.step.needed_pages([]) == []


def test_a_step_sees_what_is_learned_after_its_arrays_have_grown():
    world = make_world(items=900, events=600)
    world.candidates_of(world.users["u1"])
    for index in range(1_020, 1_060):
        world.catalogue.upsert(index, item(index))
        state = world.event("u1", index)
    anew = CandidateStep(world.statistics, world.catalogue)
    batches = [step.build([state], [NOW_MS], FusionWeights.default()) for step in (world.step, anew)]
    assert np.array_equal(batches[0].candidates, batches[1].candidates)
    assert np.array_equal(batches[0].features, batches[1].features)


def test_a_history_may_name_items_there_is_no_room_for():
    world = make_world(items=50, events=50)
    state = world.users["u0"]
    far = replace(state, items=np.append(state.items[:-1], 70_000).astype(np.int32))
    candidates = world.candidates_of(far)
    assert candidates
    assert set(candidates) <= set(range(1, 51))
    assert len(world.statistics.rows) > 70_000


@pytest.mark.parametrize("damaged", [-1, -(2**31), 2**31 - 1])
def test_a_history_that_names_what_cannot_be_an_item_is_refused(damaged):
    world = make_world(items=50, events=50)
    state = world.users["u0"]
    with pytest.raises(FatalError, match="history of user 'u0' names item .* `millrace rebuild`"):
        world.candidates_of(replace(state, items=np.append(state.items[:-1], damaged).astype(np.int32)))


def test_a_link_to_an_item_the_catalogue_has_no_room_for_leads_nowhere():
    world = make_world(items=50, events=50)
    state, other = world.users["u0"], ItemStatistics(64)
    other.rows.learn(state.items, 70_000, 50)
    row = int(state.items[0])
    world.statistics.load_page(row, other.page(row))
    assert set(world.candidates_of(state)) <= set(range(1, 51))
