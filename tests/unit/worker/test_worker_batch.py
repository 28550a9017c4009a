"""The pure core of a batch: replays and duplicates change nothing, counts equal a recomputation, order is kept."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from millrace.kernel.user_state import ResolvedEvent, ServedList, UserState
from millrace.stores.redis.values import LiveGrade
from millrace.streams.worker.plan import DUPLICATES, EVENTS_APPLIED, BatchEvent, BatchPlan, plan_batch

PARTITIONS = 3


def partition_of(user: int) -> int:
    return user % PARTITIONS


@st.composite
def streams(draw: st.DrawFn) -> list[BatchEvent]:
    """Events of a few users, with repeated event ids and times out of order, each user in one partition."""
    drawn = draw(
        st.lists(
            st.tuples(
                st.integers(0, 4),  # user
                st.integers(1, 6),  # item
                st.integers(0, 15),  # event id: small, so that ids repeat
                st.integers(0, 1000),  # time
                st.sampled_from([0.5, 3.0, 5.0]),
            ),
            max_size=40,
        )
    )
    offsets: Counter[int] = Counter()
    events = []
    for user, item, number, ts_ms, value in drawn:
        partition = partition_of(user)
        # Offsets leave gaps, as dead letters do.
        offsets[partition] += 1 + number % 2
        event = ResolvedEvent(f"u{user}-{number}", f"u{user}", item, value, ts_ms)
        events.append(BatchEvent(partition, offsets[partition], event))
    return events


def no_grade(state: UserState, item: int) -> LiveGrade | None:
    return None


def run(states: dict[str, UserState], events: Sequence[BatchEvent], watermarks: dict[int, int]) -> BatchPlan:
    """Plan one batch and write it, as the store would."""
    loaded = {item.event.user_id: states.get(item.event.user_id, UserState(item.event.user_id)) for item in events}
    ends = {item.partition: item.offset for item in events}
    plan = plan_batch(loaded, events, ends, {p: watermarks.get(p, -1) for p in ends}, no_grade)
    for change in plan.changes:
        assert change.expected_state == watermarks.get(change.partition, -1)
        states.update(change.users)
        watermarks[change.partition] = change.new_state
    return plan


def in_batches(events: Sequence[BatchEvent], sizes: Sequence[int]) -> list[Sequence[BatchEvent]]:
    parts, start = [], 0
    for size in sizes:
        parts.append(events[start : start + size])
        start += size
    return [part for part in [*parts, events[start:]] if part]


def recomputed(events: Sequence[BatchEvent]) -> dict[str, tuple[int, float, list[int]]]:
    """Count, value sum and touched items by user, the simple way: each event id once."""
    seen: set[tuple[str, str]] = set()
    count: Counter[str] = Counter()
    total: defaultdict[str, float] = defaultdict(float)
    touched: defaultdict[str, list[int]] = defaultdict(list)
    for item in events:
        event = item.event
        if (event.user_id, event.event_id) in seen:
            continue
        seen.add((event.user_id, event.event_id))
        count[event.user_id] += 1
        total[event.user_id] += event.value
        if event.item not in touched[event.user_id]:
            touched[event.user_id].append(event.item)
    return {user: (count[user], total[user], touched[user]) for user in count}


def seen_as(states: Mapping[str, UserState]) -> dict[str, tuple[int, float, list[int]]]:
    return {user: (state.count, state.value_sum, state.touched.tolist()) for user, state in states.items()}


@settings(deadline=None)
@given(streams(), st.lists(st.integers(1, 7), max_size=12))
def test_counts_equal_a_recomputation_however_the_stream_is_cut(events: list[BatchEvent], sizes: list[int]) -> None:
    states: dict[str, UserState] = {}
    watermarks: dict[int, int] = {}
    counters: Counter[str] = Counter()
    for part in in_batches(events, sizes):
        for change in run(states, part, watermarks).changes:
            counters.update(change.counters)
    assert seen_as(states) == recomputed(events)
    assert counters[EVENTS_APPLIED] == sum(count for count, _, _ in recomputed(events).values())
    assert counters[EVENTS_APPLIED] + counters[DUPLICATES] == len(events)


@settings(deadline=None)
@given(streams(), st.integers(0, 40))
def test_a_replay_changes_nothing_but_its_lists_are_made_again(events: list[BatchEvent], cut: int) -> None:
    states: dict[str, UserState] = {}
    watermarks: dict[int, int] = {}
    if events:
        run(states, events, watermarks)
    before, marks = seen_as(states), dict(watermarks)
    replayed = events[min(cut, len(events)) :]
    if replayed:
        plan = run(states, replayed, watermarks)
        assert plan.changes == []
        assert [order.cause for order in plan.lists] == replayed
        assert all(order.state is states[order.cause.event.user_id] for order in plan.lists)
    assert (seen_as(states), watermarks) == (before, marks)


@settings(deadline=None)
@given(streams(), st.integers(0, 40), st.integers(0, 40))
def test_a_batch_that_overlaps_the_watermark_applies_only_the_rest(
    events: list[BatchEvent], first: int, start: int
) -> None:
    first = min(first, len(events))
    states: dict[str, UserState] = {}
    watermarks: dict[int, int] = {}
    if first:
        run(states, events[:first], watermarks)
    overlapping = events[min(start, first) :]
    if overlapping:
        run(states, overlapping, watermarks)
    assert seen_as(states) == recomputed(events)


@settings(deadline=None)
@given(streams())
def test_each_list_reflects_the_state_right_after_its_own_event(events: list[BatchEvent]) -> None:
    plan = run({}, events, {})
    assert [order.cause for order in plan.lists] == list(events)
    for place, order in enumerate(plan.lists):
        mine = [item for item in events[: place + 1] if item.event.user_id == order.cause.event.user_id]
        count, total, touched = recomputed(mine)[order.cause.event.user_id]
        assert (order.state.count, order.state.value_sum, order.state.touched.tolist()) == (count, total, touched)


@settings(deadline=None)
@given(streams())
def test_new_touched_items_extend_the_stored_ones_without_repeats(events: list[BatchEvent]) -> None:
    middle = len(events) // 2
    stored: defaultdict[str, list[int]] = defaultdict(list)
    states: dict[str, UserState] = {}
    watermarks: dict[int, int] = {}
    for part in (events[:middle], events[middle:]):
        for change in run(states, part, watermarks).changes if part else ():
            for user, items in change.new_touched.items():
                stored[user] += items
    assert dict(stored) == {user: touched for user, (_, _, touched) in recomputed(events).items()}


@settings(deadline=None)
@given(streams())
def test_only_first_touches_are_graded_each_once_with_the_state_before(events: list[BatchEvent]) -> None:
    graded: list[tuple[str, int]] = []

    def grade(state: UserState, item: int) -> LiveGrade | None:
        assert item not in state.touched
        graded.append((state.user_id, item))
        return LiveGrade("v1", "champion", True, 1.0, False, 0.0)

    loaded = {item.event.user_id: UserState(item.event.user_id) for item in events}
    ends = {item.partition: item.offset for item in events}
    plan = plan_batch(loaded, events, ends, dict.fromkeys(ends, -1), grade)
    expected = {user: touched for user, (_, _, touched) in recomputed(events).items()}
    assert Counter(graded) == Counter((user, item) for user, items in expected.items() for item in items)
    assert sum(len(change.grades) for change in plan.changes) == len(graded)


def test_a_batch_of_dead_letters_moves_the_watermark() -> None:
    plan = plan_batch({}, [], {1: 7}, {1: 4}, no_grade)
    assert [(change.partition, change.expected_state, change.new_state) for change in plan.changes] == [(1, 4, 7)]
    assert plan.changes[0].users == {}
    assert plan.lists == []


def test_the_stored_list_is_what_a_later_event_is_graded_by() -> None:
    shown = ServedList((5, 6), "v1", "champion", "r0")
    state = UserState("u", served=shown)
    seen = []

    def grade(before: UserState, item: int) -> LiveGrade | None:
        seen.append(before.served)
        return None

    events = [BatchEvent(0, n, ResolvedEvent(f"e{n}", "u", 5 + n, 4.0, n)) for n in range(2)]
    plan = plan_batch({"u": state}, events, {0: 1}, {0: -1}, grade)
    # The list of the first event has not been shown yet when the second one is applied.
    assert seen == [shown, shown]
    np.testing.assert_array_equal(plan.lists[1].state.touched, [5, 6])


def test_the_explored_item_counts_as_taken_once_and_no_other_does() -> None:
    state = UserState("u", served=ServedList((5, 6), "v1", "champion", "r0", explored=6))
    events = [BatchEvent(0, n, ResolvedEvent(f"e{n}", "u", item, 4.0, n)) for n, item in enumerate((5, 6, 6))]
    (change,) = plan_batch({"u": state}, events, {0: 2}, {0: -1}, no_grade).changes
    assert change.explored == {"taken": 1, "taken:6": 1}


def test_what_a_user_dislikes_grades_no_list_and_is_not_recommended_again() -> None:
    graded = []

    def grade(before: UserState, item: int) -> LiveGrade | None:
        graded.append(item)
        return None

    state = UserState("u", served=ServedList((5, 6), "v1", "champion", "r0", explored=6))
    events = [
        BatchEvent(0, 0, ResolvedEvent("e0", "u", 6, 1.0, 0, weight=0.0)),
        BatchEvent(0, 1, ResolvedEvent("e1", "u", 5, 3.0, 1, weight=0.3)),
    ]
    (change,) = plan_batch({"u": state}, events, {0: 1}, {0: -1}, grade).changes
    assert graded == [5]
    assert change.explored == {}
    assert change.users["u"].touched.tolist() == [6, 5]
