from dataclasses import replace

import numpy as np
import pytest
from small_world import NOW_MS, make_world

from millrace.streams.catalogue import MAX_GENRES
from millrace.streams.ranking import CONTEXT_NAMES, FEATURE_NAMES, FusionWeights
from millrace.streams.ranking.arrays import UnseenItems
from millrace.streams.ranking.features import CONTEXTS, FEATURES
from millrace.streams.ranking.item_kernel import ITEM_CLASS, ITEM_LESSER_CLASS
from millrace.streams.ranking.profile_kernel import PROFILES, YEARS, profile_ratios
from millrace.streams.ranking.unseen_kernel import best_unseen
from millrace.streams.statistics.popularity import popularity_class


def test_the_search_finds_what_sorting_all_finds():
    random = np.random.default_rng(3)
    items, wanted = 2_000, 48
    sets, eras = random.integers(0, 30, items).astype(np.int32), random.integers(0, 256, items).astype(np.int16)
    years = np.where(random.random(items) < 0.1, 0, random.integers(1900, 2020, items)).astype(np.int16)
    by_set, by_era, by_year = (random.normal(size=size).astype(np.float32) for size in (30, 256, 257))
    rates, marks = random.normal(size=items).astype(np.float32), (random.random(items) < 0.2).astype(np.uint8)
    unseen = np.argsort(-rates, kind="stable").astype(np.int32)
    places = np.where(years > 0, years - 1850, 256).astype(np.int16)
    described = UnseenItems(unseen, sets[unseen], eras[unseen], places[unseen], rates[unseen])
    best = np.zeros(wanted, np.int32)
    for weight in (0.7, 5.0, -0.5):
        most = float(by_set.max() + by_era.max() + by_year.max())
        number = best_unseen(described, marks, by_set, by_era, by_year, weight, most, best)
        scores = np.where(marks > 0, -np.inf, by_set[sets] + by_era[eras] + by_year[places] + weight * rates)
        assert number == wanted
        assert scores[best] == pytest.approx(np.sort(scores)[::-1][:wanted])
        assert (np.diff(scores[best]) <= 1e-6).all()


def test_never_seen_items_of_the_users_genres_are_candidates():
    world = make_world(items=2_500, events=600)
    weights = FusionWeights(np.zeros(FEATURES, np.float32), np.zeros((CONTEXTS, FEATURES), np.float32))
    weights.weights[FEATURE_NAMES.index("unseen_genre")] = 1.0
    batch = world.step.build([world.users["u1"]], [NOW_MS], weights)
    top = batch.candidates[0, :20]
    assert (world.statistics.popularity.counts[top] == 0).all()
    assert (np.diff(batch.linear[0, :20]) <= 0).all()
    everything = world.step.view.content.unseen.items
    view, genres = world.step.view, world.catalogue.genres[everything]
    by_genre, by_year = np.zeros((PROFILES, MAX_GENRES)), np.zeros((PROFILES, YEARS), np.float32)
    profiles = (view.items, view.content.set_genres, view.genre_shares, view.year_shares)
    profile_ratios(world.users["u1"].items.copy(), *profiles, by_genre, by_year)
    affinity = np.where(genres > 0, by_genre[PROFILES - 1][genres], 0.0).sum(axis=1) / np.sqrt(2.0)
    assert batch.linear[0, 0] == pytest.approx(affinity.max(), rel=1e-4)


def test_first_events_raise_the_rate_of_their_era():
    world = make_world(items=2_000, events=300)
    for number in range(40):
        world.event("late", 1_900 + number)
    world.candidates_of(world.users["late"])
    rates, counts = world.step.view.content.first_rates, world.statistics.popularity.counts[:2_001]
    fresh = np.flatnonzero(counts == 0)
    near, far = rates[fresh[(fresh > 1_890) & (fresh < 1_945)]], rates[fresh[(fresh > 600) & (fresh < 1_500)]]
    assert near.mean() > far.mean() + 0.5


def test_the_context_tells_how_obscure_the_users_picks_are():
    world = make_world(items=2_000, events=400)
    for number in range(30):
        world.event("digger", 1_500 + number)
    popular = replace(world.users["u1"], items=world.statistics.popularity_order()[:20].copy())
    batch = world.step.build([world.users["digger"], popular], [NOW_MS] * 2, FusionWeights.default())
    share, picks = CONTEXT_NAMES.index("unseen_share"), CONTEXT_NAMES.index("pick_count")
    assert batch.context[0, share] > 0.5
    assert batch.context[1, share] == 0.0
    assert batch.context[0, picks] < batch.context[1, picks]


def test_the_lines_of_items_tell_their_popularity_class_with_and_without_one_event():
    world = make_world(items=300, events=900)
    world.candidates_of(world.users["u1"])
    counts, lines = world.statistics.popularity.counts.tolist(), world.step.view.items
    assert max(counts) > 32
    assert lines[:, ITEM_CLASS].tolist() == [popularity_class(count) for count in counts]
    assert lines[:, ITEM_LESSER_CLASS].tolist() == [popularity_class(max(count - 1, 0)) for count in counts]
    assert popularity_class(5) == popularity_class(8) == popularity_class(9) - 1
