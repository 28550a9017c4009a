"""What counts as a difference."""

import dataclasses

import numpy as np
import pytest

from millrace.kernel.user_state import ResolvedEvent, UserState, apply_event
from millrace.streams.statistics import ItemStatistics
from millrace.streams.verify.differences import Difference, Verification, shortened
from millrace.streams.verify.statistics import Order, PageComparison, PopularityComparison, compare_totals
from millrace.streams.verify.users import compare_tail, compare_user

NEIGHBOURS = 16
ITEMS = 9
IN_ORDER, SIDE_BY_SIDE = Order(one_partition=True), Order(one_partition=False)


def learned(users: list[int], forgotten: int | None = None) -> ItemStatistics:
    """Learn events of these users, in this order; each goes through the items in a rhythm of its own."""
    statistics, states = ItemStatistics(NEIGHBOURS), {user: UserState(f"u{user}") for user in users}
    counts = dict.fromkeys(users, 0)
    for user in users:
        number = counts[user]
        counts[user] += 1
        item = 1 + (number * (user + 2)) % (ITEMS - 1)
        event = ResolvedEvent(f"e{user}-{number}", f"u{user}", item, 0.5 + number % 9 / 2, 1000 * number)
        before = UserState("") if user == forgotten else states[user]
        statistics.update(before, item, event.value, event.ts_ms)
        states[user] = apply_event(states[user], event).state
    return statistics


def differences(logged: ItemStatistics, stored: ItemStatistics, order: Order) -> list[Difference]:
    found = compare_totals(logged, stored.scalars(), order)
    found += PopularityComparison(str, order).compare(0, logged.popularity, stored.popularity_chunk(0))
    pages = PageComparison(str, order, NEIGHBOURS)
    return found + [
        each for item in range(1, ITEMS) for each in pages.compare(item, logged.rows, stored.rows.encode(item))
    ]


SIDE = [0, 1, 2] * 20
AFTER_EACH_OTHER = [0] * 20 + [1] * 20 + [2] * 20


def test_the_same_order_is_the_same_to_the_last_bit() -> None:
    assert differences(learned(SIDE), learned(SIDE), IN_ORDER) == []


def test_another_order_differs_in_what_fades_only() -> None:
    logged, stored = learned(SIDE), learned(AFTER_EACH_OTHER)
    assert differences(logged, stored, IN_ORDER)
    assert differences(logged, stored, SIDE_BY_SIDE) == []


def test_one_event_more_or_less_is_seen_in_any_order() -> None:
    for stored in (learned(AFTER_EACH_OTHER[:-1]), learned([*AFTER_EACH_OTHER, 2])):
        kinds = {each.kind for each in differences(learned(SIDE), stored, SIDE_BY_SIDE)}
        assert kinds == {"statistics", "popularity", "page"}


def test_pages_may_hold_more_than_the_log_after_somebody_was_forgotten_but_not_less() -> None:
    everything, without = learned(SIDE), learned(SIDE, forgotten=1)
    outstanding = Order(one_partition=False, forgotten_events=20)
    assert differences(without, everything, outstanding) == []
    assert {each.kind for each in differences(without, everything, SIDE_BY_SIDE)} == {"page"}
    assert {each.kind for each in differences(everything, without, outstanding)} == {"page"}


def test_impossible_numbers_are_seen_in_any_order() -> None:
    for spoil in ("decayed", "last_clock", "by_history"):
        stored = learned(SIDE)
        getattr(stored.popularity, spoil)[3] = np.nan if spoil == "by_history" else -1
        fields = {each.field for each in differences(learned(SIDE), stored, SIDE_BY_SIDE)}
        assert fields == {"decayed counts and clocks"}, spoil


def test_bytes_that_cannot_be_read_are_a_difference() -> None:
    logged = learned(SIDE)
    (page,) = PageComparison(str, IN_ORDER, NEIGHBOURS).compare(3, logged.rows, b"?")
    (chunk,) = PopularityComparison(str, IN_ORDER).compare(0, logged.popularity, b"?")
    assert (page.name, page.field, chunk.field) == ("3", "page", "chunk")
    (lost, *_) = PageComparison(str, IN_ORDER, NEIGHBOURS).compare(3, logged.rows, None)
    assert lost.kind == "page"


def a_user() -> UserState:
    state = UserState("u")
    for number in range(70):
        state = apply_event(state, ResolvedEvent(f"e{number}", "u", 1 + number % 60, 3.5, 1000 * number)).state
    return state


@pytest.mark.parametrize("field", ["count", "value_sum", "items", "values", "ts_ms", "event_hashes", "touched"])
def test_every_field_of_a_user_is_compared(field: str) -> None:
    state = a_user()
    assert compare_user(state, a_user()) == []
    changed = dataclasses.replace(state, **{field: getattr(state, field) + 1})
    (found,) = compare_user(state, changed)
    assert found.field == ("history" if field in {"items", "values", "ts_ms"} else field)


def test_a_tail_is_compared_with_what_a_keeper_remembers_of_the_state() -> None:
    state = a_user()
    short = dataclasses.replace(state, items=state.items[:50], values=state.values[:50], ts_ms=state.ts_ms[:50])
    assert compare_tail(state, short) == []
    assert [each.field for each in compare_tail(state, dataclasses.replace(short, count=1))] == ["count"]


def test_long_values_are_cut_around_where_they_differ() -> None:
    one, other = "a" * 500 + "b" * 500, "a" * 500 + "c" * 500
    first, second = shortened(one, other)
    assert max(len(first), len(second)) < 100
    assert "ab" in first
    assert "ac" in second
    assert shortened(1, None) == ("1", "None")


def test_what_is_undecided_is_not_equal() -> None:
    difference = Difference("user", "u", "count", 1, 2)
    fine = Verification(1, 1, 1, {"worker": {0: 5}}, {0: 5}, (), (), 0, True, 0, 0.1)
    assert fine.equal
    assert fine.as_json()["compared_up_to"] == {"worker": {"0": 5}}
    assert not dataclasses.replace(fine, undecided=(difference,)).equal
    assert not dataclasses.replace(fine, differences=(difference,)).equal
    assert str(difference) == "user u, count: 1 by the log, 2 in Redis"
