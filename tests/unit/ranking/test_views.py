import numpy as np
import pytest
from small_world import make_world

from millrace.streams.ranking.item_kernel import ITEM_BUCKET_FADE
from millrace.streams.ranking.selection_kernel import falling, largest, ordered, top_items, unordered
from millrace.streams.ranking.view_kernel import rate_genres, rate_keys, share_genres, tally_shares, weigh_by_history


def test_top_items_are_the_largest_weights_ties_by_index():
    random = np.random.default_rng(5)
    for items, wanted in ((2, 1), (600, 599), (5_000, 512)):
        weights = np.where(random.random(items) < 0.5, 0.25, random.random(items)).astype(np.float32)
        expected = np.lexsort((np.arange(1, items), -weights[1:]))[:wanted] + 1
        assert top_items(weights, wanted).tolist() == expected.tolist()


def test_the_largest_keys_move_to_the_front_in_the_order_they_are_in():
    random = np.random.default_rng(7)
    for size, wanted in ((1, 1), (5, 0), (300, 1), (300, 128), (300, 299), (300, 400)):
        scores = random.integers(0, 1 << 30, size).astype(np.uint64)
        keys = (scores << np.uint64(32)) | np.arange(size, dtype=np.uint64)
        expected = [key for key in keys.tolist() if key in sorted(keys.tolist())[-wanted:]] if wanted else []
        largest(keys, size, wanted)
        assert keys[: min(wanted, size)].tolist() == expected


def test_falling_keys_are_sorted_ones():
    keys = np.random.default_rng(2).permutation(300).astype(np.uint64)
    assert falling(keys).tolist() == list(range(299, -1, -1))
    assert falling(keys[:1]).tolist() == keys[:1].tolist()


def test_ordered_bits_order_as_the_floats_do():
    numbers = np.array([-np.inf, -2.5, -1e-30, 0.0, 1e-30, 1.0, np.inf], np.float32)
    keys = [int(ordered(bits)) for bits in numbers.view(np.uint32).tolist()]
    assert keys == sorted(keys)
    assert [unordered(key) for key in keys] == numbers.view(np.uint32).tolist()


def test_lists_by_history_length_are_those_of_plain_sums():
    world = make_world(items=1_500, events=900)
    world.candidates_of(world.users["u1"])
    view, statistics = world.step.view, world.statistics
    by_history, totals = statistics.popularity.by_history, statistics.bucket_totals
    among = weigh_by_history(by_history, totals, view.items, view.shares)
    faded = statistics.popularity.by_history * view.items[:, [ITEM_BUCKET_FADE]]
    assert totals == pytest.approx(faded.sum(axis=0), rel=1e-4)
    np.testing.assert_allclose(among.T, faded + 0.1 * np.maximum(totals, 1.0) * view.shares[:, None], rtol=1e-5)


def test_shares_of_everyone_are_told_by_era_set_of_genres_and_year():
    shares = np.array([0.0, 1.0, 0.5, 0.5], np.float32)
    eras, sets, years = np.array([0, 0, 1, 1], np.int16), np.array([0, 2, 1, 0]), np.array([4, 2, 4, 0], np.int16)
    by_era, by_set, by_year = np.ones(2), np.ones(3), np.ones(5)
    tally_shares(shares, eras, sets.astype(np.int32), years, by_era, by_set, by_year)
    assert by_era.tolist() == [0.5, 0.5]
    assert by_set.tolist() == [0.25, 0.25, 0.5]
    assert by_year.tolist() == [0.25, 0.0, 0.5, 0.0, 0.25]
    by_genre = np.ones(5)
    share_genres(by_set, np.array([[0, 0], [3, 0], [3, 1]], np.int16), by_genre)
    assert by_genre.tolist() == [0.0, 0.5, 0.0, 0.75, 0.0]


def test_nothing_is_computed_for_indexes_nobody_knows():
    world = make_world(items=1_500, events=900)
    world.candidates_of(world.users["u1"])
    view, known = world.step.view, np.flatnonzero(world.catalogue.known)
    assert len(view.shares) == len(view.items) == 2_048
    assert (view.shares[known] > 0.0).all()
    assert (view.shares[known[-1] + 1 :] == 0.0).all()
    assert len(view.content.first_rates) == known[-1] + 1


def test_a_set_of_genres_has_the_mean_of_their_log_rates():
    sets = np.array([[0, 0], [1, 0], [1, 2]], np.int16)
    met, left = np.array([9.0, 2.0, 1.0]), np.array([5.0, 10.0, 30.0])
    by_genre = np.log(np.array([(3.0 + 4 * 0.5) / (40.0 + 4), (1.0 + 4 * 0.5) / (30.0 + 4)]) / 0.5)
    assert rate_genres(met, left, sets, 3, 0.5, 4.0) == pytest.approx([0.0, by_genre[0], by_genre.mean()])


def test_keys_sort_by_rate_then_index_and_name_the_item():
    rates = np.array([0.5, -1.0, 2.0, 0.5, 3.0], np.float32)
    keys = np.sort(rate_keys(rates, np.array([True, True, True, True, False])))
    assert (keys & np.uint64(0xFFFFFFFF)).tolist() == [2, 0, 3, 1]
