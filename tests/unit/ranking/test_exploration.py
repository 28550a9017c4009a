"""The bandit of the exploration slot: closed-form chances, learning, giving up, and what it is offered."""

import numpy as np
import pytest
from small_world import NOW_MS, make_world

from millrace.kernel.contracts import ReasonCode
from millrace.streams.ranking import FusionWeights, ListRules, RankedItems, select_list
from millrace.streams.ranking.exploration import ExplorationPolicy, ExplorationShape, draws
from millrace.streams.ranking.exploration_slot import new_items_for

ITEMS = np.array([3, 5, 8, 13], np.int32)
SCORES = np.array([0.5, 0.0, -0.5, -3.0], np.float32)


def test_the_chances_are_what_the_choices_come_to():
    policy = ExplorationPolicy()
    chances = policy.chances(ITEMS, SCORES)
    grid = (np.arange(4000) + 0.5) / 4000
    chosen = [policy.choose(ITEMS, SCORES, draw) for draw in grid]
    shares = [sum(each.item == item for each in chosen) / len(grid) for item in ITEMS]
    assert shares == pytest.approx(chances, abs=1 / 2000)
    assert chances.sum() == pytest.approx(1.0)
    assert chances.min() >= policy.shape.uniform / len(ITEMS)
    assert all(each.chance == pytest.approx(chances[each.place]) for each in chosen)
    assert all(ITEMS[each.place] == each.item for each in chosen)


def test_the_score_of_an_item_is_its_prior():
    chances = ExplorationPolicy().chances(ITEMS, SCORES)
    assert (np.diff(chances) < 0).all()
    shifted = ExplorationPolicy().chances(ITEMS, SCORES + 7)
    assert shifted == pytest.approx(chances)


def test_what_is_taken_is_shown_more_often_and_what_is_not_less_often():
    policy, even = ExplorationPolicy(), np.zeros(4, np.float32)
    before = policy.chances(ITEMS, even)
    policy.shown(3, 400)
    policy.shown(5, 400)
    policy.taken(5, 20)
    after = policy.chances(ITEMS, even)
    assert after[0] < before[0] < after[1]
    assert after[1] > after[2] > after[0]


def test_it_finds_the_item_that_people_want():
    random = np.random.default_rng(4)
    rates, policy = np.array([0.01, 0.01, 0.2, 0.01]), ExplorationPolicy()
    for _ in range(3000):
        chosen = policy.choose(ITEMS, np.zeros(4, np.float32), random.random())
        assert chosen is not None
        policy.shown(chosen.item)
        if random.random() < rates[chosen.place]:
            policy.taken(chosen.item)
    assert policy.chances(ITEMS, np.zeros(4, np.float32)).argmax() == 2
    assert policy.counts["shown:8"] > 2000
    assert 0.1 < policy.rate < 0.2


def test_what_nobody_wants_is_given_up_and_what_is_unknown_is_not():
    policy = ExplorationPolicy(ExplorationShape(first_rate=0.1))
    policy.shown(3, 1000)
    policy.shown(5, 1000)
    policy.taken(5, 100)
    assert policy.worth_showing(ITEMS).tolist() == [False, True, True, True]
    assert all(policy.choose(ITEMS, SCORES, draw).item != 3 for draw in (0.0, 0.3, 0.6, 0.99))
    assert policy.choose(ITEMS[:1], SCORES[:1], 0.5) is None
    assert policy.choose(ITEMS[:0], SCORES[:0], 0.5) is None


def test_the_state_is_its_counts_in_whatever_order_they_came():
    one, other = ExplorationPolicy(), ExplorationPolicy()
    one.shown(3)
    one.shown(5, 2)
    one.taken(5)
    other.shown(5)
    other.taken(5)
    other.shown(3)
    other.shown(5)
    assert one.counts == other.counts == {"shown": 3, "shown:3": 1, "shown:5": 2, "taken": 1, "taken:5": 1}
    third = ExplorationPolicy(counts=dict(one.counts))
    assert third.choose(ITEMS, SCORES, 0.4) == one.choose(ITEMS, SCORES, 0.4)


def test_draws_are_uniform_and_decided_by_the_id():
    pairs = np.array([draws(f"0-{number}-e") for number in range(4000)])
    assert draws("0-7-e") == tuple(pairs[7])
    assert ((pairs >= 0) & (pairs < 1)).all()
    assert pairs.mean(axis=0) == pytest.approx([0.5, 0.5], abs=0.03)
    assert abs(np.corrcoef(pairs.T)[0, 1]) < 0.05


def test_the_offer_holds_new_free_items_only_scored_ones_first():
    world = make_world(items=400, events=500)
    state = world.users["u1"]
    world.catalogue.upsert(390, world.catalogue.item(390).model_copy(update={"available": False}))
    ranked = RankedItems.from_linear(world.step.build([state], [NOW_MS], FusionWeights.default()), 0)
    kept = ranked.items[:9].tolist()
    offer = new_items_for(state, ranked.items, ranked.scores, kept, world.step)
    items = offer.items.tolist()
    assert len(set(items)) == len(items) > 32
    assert not set(items) & (set(kept) | set(state.touched.tolist()) | {0, 390})
    assert (world.statistics.popularity.counts[offer.items] < 5).all()
    scored = np.isin(offer.items, ranked.items)
    assert scored.any()
    assert (np.diff(scored.astype(int)) <= 0).all()
    assert (np.diff(offer.scores) <= 0).all()
    assert not world.step.marks.any()


def test_unscored_items_are_ordered_by_the_users_taste():
    world = make_world(items=600, events=300)
    for index in range(1, 600, 7):
        if "War" in world.catalogue.item(index).genres:
            world.event("veteran", index)
    state = world.users["veteran"]
    world.step.prepare()
    none = np.empty(0, np.int32)
    offer = new_items_for(state, none, none.astype(np.float32), [], world.step)
    offered = [world.catalogue.item(int(item)).genres for item in offer.items]
    everywhere = [world.catalogue.item(index).genres for index in range(1, 601)]
    share = sum("War" in genres for genres in offered) / len(offered)
    assert share > 1.5 * sum("War" in genres for genres in everywhere) / len(everywhere)


def test_the_propensity_of_a_list_counts_the_decision_to_explore():
    world = make_world(items=600, events=300)
    state = world.users["u1"]
    ranked = RankedItems.from_linear(world.step.build([state], [NOW_MS], FusionWeights.default()), 0)
    rules, policy = ListRules(diversity=0.0, exploration_rate=0.25), ExplorationPolicy()
    lists = [select_list(rules, ranked, state, world.step, f"0-{n}-e", exploration=policy) for n in range(4000)]
    last = [listed[-1] for listed in lists]
    explored = [entry for entry in last if entry.reason is ReasonCode.EXPLORE]
    # Weighing every explored item by 1 / propensity counts each item offered once per list, in expectation.
    offer = new_items_for(state, ranked.items, ranked.scores, [entry.item for entry in lists[0]][:9], world.step)
    weighed = sum(1.0 / entry.propensity for entry in explored) / len(lists)
    assert weighed == pytest.approx(len(offer.items), rel=0.15)
    assert all(entry.propensity is None for listed in lists for entry in listed[:-1])
    assert all(0.0 < entry.propensity <= 0.25 for entry in explored)
    assert {entry.item for entry in explored} <= policy.asked
