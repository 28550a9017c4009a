"""Replaying the log is what workers and keeper did event by event."""

from collections import defaultdict

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from millrace.kernel.contracts import ActivityEvent, EventPolicy
from millrace.kernel.user_state import ResolvedEvent, UserState, apply_event
from millrace.stores.event_log import IMPORT_PARTITION, LoggedEvent
from millrace.streams.keeper.learner import Lesson, StatisticsLearner
from millrace.streams.replay import LogReplay
from millrace.streams.statistics import ItemStatistics

POLICY = EventPolicy()
NEIGHBOURS = 16

# Few users, items and ids: so that repeats, duplicates and late events are frequent.
event_fields = st.tuples(
    st.integers(0, 3),  # user, which decides the partition
    st.integers(1, 12),  # item
    st.integers(0, 25),  # event id
    st.sampled_from([("rating", 0.5), ("rating", 4.5), ("view", None), ("purchase", None), ("dislike", None)]),
    st.integers(0, 1000),  # time
)


def log_of(fields: list[tuple[int, int, int, tuple[str, float | None], int]]) -> list[LoggedEvent]:
    offsets: defaultdict[int, int] = defaultdict(int)
    logged = []
    for place, (user, item, number, (kind, value), ts_ms) in enumerate(fields):
        partition = user % 3 + IMPORT_PARTITION
        event = ActivityEvent(
            event_id=f"e{number}", user_id=f"u{user}", item_id=f"i{item}", type=kind, value=value, ts_ms=ts_ms
        )
        logged.append(LoggedEvent(partition, offsets[partition], place, event))
        offsets[partition] += 1
    return logged


def resolved(logged: LoggedEvent) -> ResolvedEvent:
    return ResolvedEvent.of(logged.event, int(logged.event.item_id[1:]), POLICY)


def same(first: UserState, second: UserState) -> bool:
    numbers = (first.user_id, first.count, first.value_sum) == (second.user_id, second.count, second.value_sum)
    names = ("items", "values", "ts_ms", "event_hashes", "touched")
    return numbers and all(np.array_equal(getattr(first, name), getattr(second, name)) for name in names)


@settings(deadline=None, max_examples=60)
@given(st.lists(event_fields, max_size=60))
def test_replay_equals_worker_and_keeper_event_by_event(
    fields: list[tuple[int, int, int, tuple[str, float | None], int]],
) -> None:
    log = log_of(fields)
    replay = LogReplay(POLICY, NEIGHBOURS)
    users: dict[str, UserState] = {}
    keeper = StatisticsLearner(ItemStatistics(NEIGHBOURS), {}, 0)
    applied_events = 0
    for logged in log:
        event = resolved(logged)
        replay.apply(logged, event.item)
        applied = apply_event(users.get(event.user_id, UserState(event.user_id)), event)
        users[event.user_id] = applied.state
        applied_events += not applied.duplicate
        keeper.load_tails(dict.fromkeys(keeper.unknown([event.user_id])))
        keeper.learn([Lesson(logged.partition, logged.offset + 1, event)], {logged.partition: logged.offset + 1})
    assert replay.events == applied_events
    assert replay.users.keys() == users.keys()
    assert all(same(replay.users[user_id], state) for user_id, state in users.items())
    assert replay.statistics.scalars() == keeper.statistics.scalars()
    assert replay.statistics.take_dirty() == keeper.statistics.take_dirty()
    for item in range(1, 13):
        assert replay.statistics.page(item) == keeper.statistics.page(item)
    assert replay.position == {logged.partition: logged.offset for logged in log}


def test_an_event_without_an_index_only_moves_the_position() -> None:
    replay = LogReplay(POLICY, NEIGHBOURS)
    (logged,) = log_of([(0, 1, 1, ("rating", 3.0), 5)])
    replay.apply(logged, None)
    assert not replay.users
    assert replay.events == 0
    assert replay.position == {logged.partition: 0}


def test_users_and_statistics_go_on_by_themselves_from_a_split() -> None:
    fields = [(user % 4, 1 + user % 7, user, ("rating", 3.0), user) for user in range(40)]
    log = log_of(fields)
    whole, replay = LogReplay(POLICY, NEIGHBOURS), LogReplay(POLICY, NEIGHBOURS)
    for logged in log:
        whole.apply(logged, int(logged.event.item_id[1:]))
    for logged in log[:25]:
        replay.apply(logged, int(logged.event.item_id[1:]))
    users, statistics = replay.split()
    for logged in log[25:]:
        statistics.apply(logged, int(logged.event.item_id[1:]))
    assert statistics.statistics.scalars() == whole.statistics.scalars()
    assert sum(state.count for state in users.users.values()) == 25
    for logged in log[25:]:
        users.apply(logged, int(logged.event.item_id[1:]))
    assert all(same(users.users[user_id], state) for user_id, state in whole.users.items())
    assert users.position == statistics.position == whole.position
