import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_streams import random_stream

from millrace.kernel.user_state import UserState, apply_event
from millrace.streams.statistics import ItemStatistics, decode_tail, encode_tail, trim
from millrace.streams.statistics.growing import MOST_ITEMS
from millrace.streams.statistics.row_kernels import STATISTICS


def same(one: ItemStatistics, other: ItemStatistics) -> None:
    """Both hold the same numbers, bit for bit, in every page and chunk."""
    size = max(len(one.rows), len(other.rows))
    assert one.clock == other.clock
    assert one.scalars() == other.scalars()
    for item in range(size):
        assert one.page(item) == other.page(item)
    for chunk in range(max(one.popularity_chunks, other.popularity_chunks)):
        assert one.popularity_chunk(chunk) == other.popularity_chunk(chunk)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), stop=st.integers(0, 120), more=st.integers(0, 60), neighbours=st.integers(8, 40))
def test_a_keeper_restarted_from_its_flushes_equals_one_that_never_stopped(seed, stop, more, neighbours):
    stream = random_stream(seed, stop + more)
    steady, restarted = ItemStatistics(neighbours), ItemStatistics(neighbours)
    pages: dict[int, bytes] = {}
    chunks: dict[int, bytes] = {}
    for number, learned in enumerate(stream):
        if number == stop:
            break
        steady.update(learned.before, learned.event.item, learned.event.value, learned.event.ts_ms)
        if number % 7 == 0 or number == stop - 1:
            dirty_pages, dirty_chunks = steady.take_dirty()
            pages.update({item: steady.page(item) for item in dirty_pages})
            chunks.update({chunk: steady.popularity_chunk(chunk) for chunk in dirty_chunks})
    for item, page in pages.items():
        restarted.load_page(item, page)
    for chunk, data in chunks.items():
        restarted.load_popularity_chunk(chunk, data)
    restarted.load_scalars(steady.scalars())
    for learned in stream[stop:]:
        for statistics in (steady, restarted):
            statistics.update(learned.before, learned.event.item, learned.event.value, learned.event.ts_ms)
    same(steady, restarted)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), events=st.integers(1, 150))
def test_a_tail_teaches_the_same_as_the_full_state(seed, events):
    full, from_tails = ItemStatistics(32), ItemStatistics(32)
    tails: dict[str, bytes] = {}
    for learned in random_stream(seed, events, users=2):
        event = learned.event
        tail = decode_tail(event.user_id, tails.get(event.user_id))
        full.update(learned.before, event.item, event.value, event.ts_ms)
        from_tails.update(tail, event.item, event.value, event.ts_ms)
        tails[event.user_id] = encode_tail(apply_event(tail, event).state)
    same(full, from_tails)


def test_a_tail_is_read_back_exactly():
    state = UserState("u")
    for learned in random_stream(3, 90, users=1):
        state = apply_event(state, learned.event).state
    decoded, tail = decode_tail("u", encode_tail(state)), trim(state)
    assert (decoded.count, decoded.value_sum, len(decoded.items)) == (90, state.value_sum, 50)
    for name in ("items", "values", "ts_ms", "event_hashes", "touched"):
        assert np.array_equal(getattr(decoded, name), getattr(tail, name))


def test_loading_nothing_empties():
    statistics = ItemStatistics(16)
    empty = ItemStatistics(16)
    for learned in random_stream(1, 40):
        statistics.update(learned.before, learned.event.item, learned.event.value, learned.event.ts_ms)
    for item in range(64):
        statistics.load_page(item, None)
    statistics.load_popularity_chunk(0, None)
    statistics.load_scalars({})
    same(statistics, empty)


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: b"\xff" + data[1:], lambda data: b""])
def test_damaged_bytes_are_refused(damage):
    statistics = ItemStatistics(16)
    with pytest.raises(ValueError, match="rebuild"):
        statistics.load_page(1, damage(statistics.page(1)))
    with pytest.raises(ValueError, match="rebuild"):
        statistics.load_popularity_chunk(0, damage(statistics.popularity_chunk(0)))
    with pytest.raises(ValueError, match="tail"):
        decode_tail("u", damage(encode_tail(UserState("u"))))


def test_the_popularity_order_is_by_count_then_index():
    statistics = ItemStatistics(16)
    for item in (5, 5, 2, 9, 9, 3):
        statistics.update(UserState("u"), item, 3.0, 0)
    assert statistics.popularity_order()[:6].tolist() == [5, 9, 2, 3, 1, 4]
    statistics.update(UserState("u"), 3, 3.0, 0)
    assert statistics.popularity_order()[:4].tolist() == [3, 5, 9, 2]


def page_naming(neighbour: int) -> bytes:
    statistics = ItemStatistics(16)
    statistics.update(UserState("u", items=np.array([2], np.int32)), 1, 3.0, 0)
    page = bytearray(statistics.page(1))
    page[-4 * (1 + STATISTICS) : -4 * STATISTICS] = np.int32(neighbour).tobytes()
    return bytes(page)


@pytest.mark.parametrize("neighbour", [0, -1, MOST_ITEMS, 2**31 - 1])
def test_a_page_that_names_what_cannot_be_an_item_is_refused(neighbour):
    statistics = ItemStatistics(16)
    statistics.update(UserState("u", items=np.array([2], np.int32)), 1, 3.0, 0)
    before = statistics.page(1)
    with pytest.raises(ValueError, match="page of item 1 names .*rebuild the statistics"):
        statistics.load_page(1, page_naming(neighbour))
    assert statistics.page(1) == before


def test_a_page_makes_room_for_the_neighbours_it_names():
    statistics = ItemStatistics(16)
    statistics.load_page(1, page_naming(5_000))
    assert len(statistics.rows) > 5_000
    assert statistics.page(1) == page_naming(5_000)


def test_a_chunk_with_a_count_below_zero_is_refused():
    statistics = ItemStatistics(16)
    chunk = bytearray(statistics.popularity_chunk(0))
    chunk[8:16] = np.int64(-1).tobytes()
    with pytest.raises(ValueError, match="below zero: rebuild the statistics"):
        statistics.load_popularity_chunk(0, bytes(chunk))


def test_a_tail_that_names_what_cannot_be_an_item_is_refused():
    damaged = UserState("u", 1, 4.0, np.array([-7], np.int32), np.full(1, 4, np.float32), np.ones(1, np.int64))
    tail = encode_tail(damaged)
    with pytest.raises(ValueError, match="tail of user 'u' names -7"):
        decode_tail("u", tail)


def test_an_index_beyond_all_items_is_refused():
    with pytest.raises(ValueError, match="beyond the .* items"):
        ItemStatistics(16).load_page(MOST_ITEMS, None)
