"""The books of the fault runs: what was published against what came back, and the state recomputed from it."""

import dataclasses

from millrace.kernel.contracts import ActivityEvent, EventPolicy
from millrace.kernel.user_state import ResolvedEvent, UserState, apply_event
from millrace.load_tests.recovery.expected import HISTORY_LENGTH, Expected
from millrace.load_tests.recovery.ledger import Ledger


def event(number: int, item: str = "i", user: str = "u", value: float = 3.0, ts_ms: int = 0) -> ActivityEvent:
    return ActivityEvent(
        event_id=f"e{number}", user_id=user, item_id=item, type="rating", value=value, ts_ms=ts_ms or 1 + number
    )


def test_an_event_is_open_until_a_list_answers_it() -> None:
    ledger = Ledger()
    ledger.confirmed((0, 0), event(0), 0.0)
    ledger.confirmed((0, 1), None, 0.0)
    assert ledger.open() == (1, 1)
    ledger.answered((0, 0), "a")
    ledger.dead((0, 1))
    assert ledger.open() == (0, 0)
    ledger.answered((0, 0), "a")
    assert ledger.answers().lists == {(0, 0): ["a", "a"]}
    assert (ledger.ends(), ledger.newest_events(), ledger.counts) == ({0: 1}, {0: 0}, (1, 1))


def test_a_list_that_is_faster_than_the_confirmation_counts() -> None:
    ledger = Ledger()
    since_s = ledger.watch()
    ledger.answered((2, 0), "a")
    ledger.confirmed((2, 0), event(0), since_s + 1)
    assert ledger.open() == (0, 0)
    assert ledger.fresh().keys() == {2}


def test_only_lists_for_events_after_the_fault_are_fresh() -> None:
    ledger = Ledger()
    since_s = ledger.watch()
    ledger.confirmed((0, 0), event(0), since_s - 1)
    ledger.confirmed((1, 0), event(1), since_s + 1)
    ledger.answered((0, 0), "a")
    ledger.answered((1, 0), "b")
    assert ledger.fresh().keys() == {1}


def test_published_events_come_in_the_order_of_their_partition_and_only_new_ones() -> None:
    ledger = Ledger()
    for place in ((1, 1), (0, 3), (1, 0), (0, 2)):
        ledger.confirmed(place, event(place[1]), 0.0)
    assert [place for place, _ in ledger.published({0: 2})] == [(0, 3), (1, 0), (1, 1)]


def test_the_recomputation_agrees_with_the_serving_code() -> None:
    """They share no line, so an error would have to be made twice."""
    numbers = [n * 7 % 250 for n in range(260)] + [3, 259, 30]
    events = [event(n, f"i{n % 90}", value=0.5 + n % 10 / 2, ts_ms=1 + n // 3) for n in numbers]
    expected = Expected()
    assert expected.apply(((0, n), each) for n, each in enumerate(events)) == {"u"}
    state, repeated = UserState("u"), 0
    for each in events:
        applied = apply_event(state, ResolvedEvent.of(each, 1 + int(each.item_id[1:]), EventPolicy()))
        state, repeated = applied.state, repeated + applied.duplicate
    user = expected.users["u"]
    assert (user.count, user.value_sum, expected.repeated) == (state.count, state.value_sum, repeated)
    assert repeated > 0
    assert len(user.history) == HISTORY_LENGTH
    items = [f"i{item - 1}" for item in state.items.tolist()]
    assert user.history == list(zip(items, state.values.tolist(), state.ts_ms.tolist(), strict=True))
    assert list(user.touched) == [f"i{item - 1}" for item in state.touched.tolist()]
    assert expected.items.total() == expected.applied == state.count


def test_a_repeated_event_changes_nothing() -> None:
    expected = Expected()
    expected.apply([((0, 0), event(0)), ((0, 1), event(0))])
    before = dataclasses.replace(expected.users["u"])
    assert (before.count, expected.applied, expected.repeated) == (1, 1, 1)
