from dataclasses import replace

import numpy as np
import pytest
from small_world import NOW_MS, item, make_world

from millrace.kernel.contracts import ReasonCode
from millrace.kernel.user_state import UserState
from millrace.streams.ranking import FusionWeights, ListRules, RankedItems, select_list

PLAIN = ListRules(diversity=0.0, exploration_rate=0.0)


def ranked_of(world, state):
    return RankedItems.from_linear(world.step.build([state], [NOW_MS], FusionWeights.default()), 0)


def test_without_diversity_and_exploration_the_list_is_the_head_of_the_ranking():
    world = make_world(items=400, events=500)
    state = world.users["u1"]
    ranked = ranked_of(world, state)
    listed = select_list(PLAIN, ranked, state, world.step, "r")
    assert [entry.item for entry in listed] == ranked.items[:10].tolist()


def test_touched_unavailable_unknown_and_padding_never_pass_whatever_the_ranking_says():
    world = make_world(items=100, events=200)
    state = world.users["u1"]
    world.catalogue.upsert(99, item(99, available=False))
    touched = int(state.touched[0])
    free = [index for index in range(1, 90) if index not in state.touched.tolist()][:3]
    ranked = RankedItems(
        np.array([touched, free[0], 99, 0, 10**6, free[1], free[2]], np.int32), np.arange(7, 0, -1).astype(np.float32)
    )
    for rules in (PLAIN, ListRules(exploration_rate=1.0)):
        items = [entry.item for entry in select_list(rules, ranked, state, world.step, "r")]
        assert items[:3] == free or set(free) <= set(items)
        assert not {touched, 99, 0, 10**6} & set(items)


def test_diversity_moves_a_twin_down():
    world = make_world(items=50, events=20)
    vectors = np.zeros((51, 2), np.float32)
    vectors[[1, 2]] = (1.0, 0.0)
    vectors[3] = (0.0, 1.0)
    ranked = RankedItems(np.array([1, 2, 3], np.int32), np.array([1.0, 0.9, 0.8], np.float32))
    nobody = UserState("nobody")

    def order(diversity):
        rules = replace(PLAIN, diversity=diversity)
        return [entry.item for entry in select_list(rules, ranked, nobody, world.step, "r", vectors)]

    assert order(0.05) == [1, 2, 3]
    assert order(0.5) == [1, 3, 2]


def test_ties_keep_the_order_of_the_ranking():
    world = make_world(items=50, events=20)
    ranked = RankedItems(np.array([9, 4, 7], np.int32), np.zeros(3, np.float32))
    rules = replace(PLAIN, diversity=0.5)
    flat = np.ones((51, 4), np.float16)
    listed = select_list(rules, ranked, UserState("nobody"), world.step, "r", flat)
    assert [entry.item for entry in listed] == [9, 4, 7]


def test_exploration_depends_on_the_recommendation_id_alone_and_comes_at_its_rate():
    world = make_world(items=600, events=300)
    state = world.users["u1"]
    ranked = ranked_of(world, state)
    rules = ListRules(exploration_rate=0.25)
    lists = [select_list(rules, ranked, state, world.step, f"0-{number}-e") for number in range(400)]
    again = [select_list(rules, ranked, state, world.step, f"0-{number}-e") for number in range(400)]
    explored = [listed[-1].item for listed in lists if listed[-1].reason is ReasonCode.EXPLORE]
    assert lists == again
    assert 60 <= len(explored) <= 140
    assert len(set(explored)) > 5
    assert all(world.statistics.popularity.counts[explored] < 5)
    assert all(len({entry.item for entry in listed}) == 10 for listed in lists)
    assert all(entry.reason is not ReasonCode.EXPLORE for listed in lists for entry in listed[:-1])


def test_reasons_name_the_history_item_that_leads_there():
    world = make_world(items=300, events=0)
    for number in range(40):
        world.event(f"other{number}", 10)
        world.event(f"other{number}", 20)
        world.event(f"third{number}", 30 + number % 7)
    state = world.event("me", 10)
    listed = select_list(PLAIN, ranked_of(world, state), state, world.step, "r")
    by_item = {entry.item: entry for entry in listed}
    assert listed[0].item == 20
    assert (by_item[20].reason, by_item[20].because) == (ReasonCode.BECAUSE_YOU_RATED, 10)
    others = [entry for entry in listed if entry.item != 20]
    assert all(entry.because is None for entry in others)
    assert {entry.reason for entry in others} <= {ReasonCode.TRENDING, ReasonCode.NEW}


def test_the_networks_reason_is_named_where_the_counts_have_none():
    world = make_world(items=300, events=0)
    for number in range(40):
        world.event(f"other{number}", 10)
        world.event(f"other{number}", 20)
    world.event("me", 11)
    state = world.event("me", 10)
    because = np.array([11, 11, 0], np.int32)
    ranked = RankedItems(
        np.array([20, 200, 201], np.int32), np.array([3.0, 2.0, 1.0], np.float32), np.array([4.5, 3.0, 3.0]), because
    )
    first, second, third = select_list(PLAIN, ranked, state, world.step, "r")
    assert (first.because, first.predicted_rating) == (10, pytest.approx(4.5))
    assert (second.reason, second.because) == (ReasonCode.BECAUSE_YOU_RATED, 11)
    assert third.because is None


def test_a_shorter_list_is_possible_and_an_empty_ranking_gives_an_empty_list():
    world = make_world(items=100, events=100)
    state = world.users["u1"]
    rules = replace(PLAIN, list_length=3)
    assert len(select_list(rules, ranked_of(world, state), state, world.step, "r")) == 3
    nothing = RankedItems(np.zeros(40, np.int32), np.full(40, -np.inf, np.float32))
    assert select_list(PLAIN, nothing, state, world.step, "r") == []


def test_new_is_said_of_what_was_added_lately_and_has_few_events():
    world = make_world(items=100, events=0)
    for number in range(5):
        world.event(f"other{number}", 99)
    ranked = RankedItems(np.array([98, 99, 3], np.int32), np.array([3.0, 2.0, 1.0], np.float32))
    world.step.build([UserState("nobody")], [NOW_MS], FusionWeights.default())
    listed = select_list(PLAIN, ranked, UserState("nobody"), world.step, "r")
    assert [(entry.item, entry.reason) for entry in listed] == [
        (98, ReasonCode.NEW),
        (99, ReasonCode.TRENDING),
        (3, ReasonCode.TRENDING),
    ]
