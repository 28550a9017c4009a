import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from stored_users import put_users

from millrace.kernel.errors import FatalError
from millrace.kernel.settings import Settings
from millrace.kernel.user_state import ResolvedEvent, ServedList, UserState, apply_event
from millrace.stores.redis.stores import Stores
from millrace.stores.redis.values import (
    FencedError,
    LiveGrade,
    PartitionCommit,
    PartitionFinish,
    ServedUpdate,
    Watermark,
)

pytestmark = pytest.mark.services

SERVED = ServedList((3, 1, 2), "v000001", "champion", "0-7-e7")
GRADE = LiveGrade("v000001", "champion", True, 0.5, False, 0.25)


def after(state: UserState, *items: int) -> UserState:
    for item in items:
        event = ResolvedEvent(f"{state.user_id}-{state.count}", state.user_id, item, 4.5, 1000 + state.count)
        state = apply_event(state, event).state
    return state


def commit_of(
    state: UserState, touched: Sequence[int], expected: int = -1, new: int = 5, owner: str = "w1", partition: int = 0
) -> PartitionCommit:
    return PartitionCommit(
        partition, owner, expected, new, [state], {state.user_id: touched}, [GRADE], {"events_applied": 2}
    )


async def advance(stores: Stores, new: int, expected: int = -1, owner: str = "w1") -> None:
    """Commit a batch that changes no user, as one of dead letters alone."""
    await stores.users.commit([PartitionCommit(0, owner, expected, new, [], {})])


async def everything(stores: Stores) -> tuple[object, ...]:
    """What a replay may not change."""
    users = await stores.users.load(["u", "v"])
    return (
        str(users),
        await stores.users.watermarks("worker", "millrace.events"),
        await stores.serving.counters(),
        await stores.serving.live(),
    )


async def test_an_unknown_user_is_an_empty_state_and_order_is_kept(stores: Stores) -> None:
    await put_users(stores.redis, stores.keys, [after(UserState("b"), 1), after(UserState("a"), 2)])
    loaded = await stores.users.load(["a", "nobody", "b", "a"])
    assert [state.user_id for state in loaded] == ["a", "nobody", "b", "a"]
    assert [state.items.tolist() for state in loaded] == [[2], [], [1], [2]]
    assert await stores.users.load([]) == []


@pytest.mark.parametrize(
    "damage", [{"history": b"[[-1,4.0,1]]"}, {"history": b"[["}, {"served": b"{}"}, {"count": b"x"}]
)
async def test_a_user_that_cannot_be_read_is_no_fault_of_a_record(stores: Stores, damage: dict[str, bytes]) -> None:
    await put_users(stores.redis, stores.keys, [after(UserState("u"), 1)])
    await stores.redis.hset(stores.keys.user("u"), mapping=damage)
    with pytest.raises(FatalError, match="User state in Redis cannot be read .*`millrace rebuild`"):
        await stores.users.load(["u"])


async def test_a_commit_writes_users_grades_counters_and_the_watermark(stores: Stores) -> None:
    assert await stores.users.claim(0, "w1") == Watermark(-1, -1)
    state = after(UserState("u"), 7, 8)
    await stores.users.commit([commit_of(state, [7, 8])])
    (loaded,) = await stores.users.load(["u"])
    assert (loaded.count, loaded.value_sum, loaded.items.tolist()) == (2, 9.0, [8, 7])
    assert loaded.touched.tolist() == [7, 8]
    assert await stores.serving.counters() == {"events_applied": 2}
    assert await stores.serving.live() == {
        ("v000001", "champion"): {"events": 1, "hits": 1, "ndcg": 0.5, "popularity_hits": 0, "popularity_ndcg": 0.25}
    }
    assert await stores.users.watermarks("worker", "millrace.events") == {0: Watermark(5, -1)}


async def test_the_same_commit_again_changes_nothing(stores: Stores) -> None:
    await stores.users.claim(0, "w1")
    commit = commit_of(after(UserState("u"), 7, 8), [7, 8])
    await stores.users.commit([commit])
    before = await everything(stores)
    await stores.users.commit([commit])
    assert await everything(stores) == before


async def test_touched_items_are_appended(stores: Stores) -> None:
    await stores.users.claim(0, "w1")
    first = after(UserState("u"), 7)
    second = after(first, 9, 7)
    await stores.users.commit([commit_of(first, [7])])
    await stores.users.commit([commit_of(second, [9], expected=5, new=8)])
    (loaded,) = await stores.users.load(["u"])
    assert loaded.touched.tolist() == [7, 9]


async def test_an_older_owner_can_neither_commit_nor_finish(stores: Stores) -> None:
    await stores.users.claim(0, "w1")
    await stores.users.claim(0, "w2")
    before = await everything(stores)
    with pytest.raises(FencedError, match="partition 0 .*another owner") as caught:
        await stores.users.commit([commit_of(after(UserState("u"), 7), [7])])
    assert caught.value.partitions == {0}
    with pytest.raises(FencedError):
        await stores.users.finish(0, "w1", 5, [ServedUpdate("u", SERVED, None)], {"recommendations": 1})
    assert await everything(stores) == before


async def test_a_partition_nobody_claimed_is_refused(stores: Stores) -> None:
    with pytest.raises(FencedError):
        await stores.users.commit([commit_of(after(UserState("u"), 7), [7])])
    assert (await stores.users.load(["u"]))[0].count == 0


async def test_a_batch_from_another_watermark_is_refused(stores: Stores) -> None:
    await stores.users.claim(0, "w1")
    await stores.users.commit([commit_of(after(UserState("u"), 7), [7], new=5)])
    before = await everything(stores)
    for expected, new in ((-1, 9), (4, 9), (6, 9)):
        with pytest.raises(FencedError, match="watermark has moved"):
            await stores.users.commit([commit_of(after(UserState("u"), 7, 8), [8], expected, new)])
    assert await everything(stores) == before


async def test_a_lost_partition_does_not_keep_the_others_from_committing(stores: Stores) -> None:
    await stores.users.claim(0, "w1")
    await stores.users.claim(2, "other")
    commits = [
        commit_of(after(UserState("v"), 3), [3], partition=2),
        commit_of(after(UserState("u"), 7), [7], partition=0),
    ]
    with pytest.raises(FencedError) as caught:
        await stores.users.commit(commits)
    assert caught.value.partitions == {2}
    assert [state.count for state in await stores.users.load(["u", "v"])] == [1, 0]


async def test_finish_records_the_list_and_the_commit_leaves_it(stores: Stores) -> None:
    await stores.users.claim(0, "w1")
    state = after(UserState("u"), 7)
    await stores.users.commit([commit_of(state, [7])])
    update = ServedUpdate("u", SERVED, np.array([5, 6, 0], np.int32), b'{"items":[]}')
    await stores.users.finish(0, "w1", 5, [update], {"recommendations": 1})
    await stores.users.commit([commit_of(after(state, 8), [8], expected=5, new=6)])
    (loaded,) = await stores.users.load(["u"])
    assert loaded.served == SERVED
    assert loaded.proposals.tolist() == [5, 6]
    assert await stores.users.record("u") == b'{"items":[]}'
    assert await stores.users.watermarks("worker", "millrace.events") == {0: Watermark(6, 5)}


async def test_finish_without_proposals_keeps_the_old_ones(stores: Stores) -> None:
    await stores.users.claim(0, "w1")
    await advance(stores, 2)
    await stores.users.finish(0, "w1", 1, [ServedUpdate("u", SERVED, np.array([5], np.int32))], {})
    await stores.users.finish(0, "w1", 2, [ServedUpdate("u", SERVED, None)], {})
    assert (await stores.users.load(["u"]))[0].proposals.tolist() == [5]


async def test_done_never_goes_back_and_counts_once(stores: Stores) -> None:
    await stores.users.claim(0, "w1")
    await advance(stores, 9)
    await stores.users.finish(0, "w1", 9, [], {"recommendations": 3})
    for done in (9, 4):
        await stores.users.finish(0, "w1", done, [ServedUpdate("u", SERVED, None)], {"recommendations": 3})
    assert await stores.users.claim(0, "w2") == Watermark(9, 9)
    assert await stores.serving.counters() == {"recommendations": 3}
    assert (await stores.users.load(["u"]))[0].served is None


async def test_a_finish_beyond_the_state_is_refused(stores: Stores) -> None:
    await stores.users.claim(0, "w1")
    await advance(stores, 10)
    await stores.users.finish(0, "w1", 10, [], {})
    await advance(stores, 20, expected=10)
    # A Redis that lost its last second: the claim is older than that, the commit is not.
    await stores.redis.hset(stores.keys.watermark("worker", "millrace.events", 0), "state", 10)
    before = await everything(stores)
    with pytest.raises(FencedError, match="partition 0 .*watermark has moved"):
        await stores.users.finish(0, "w1", 20, [ServedUpdate("u", SERVED, None)], {"recommendations": 1})
    assert await everything(stores) == before
    assert await stores.users.claim(0, "w2") == Watermark(10, 10)


async def test_exploration_is_counted_once_with_the_commit_and_the_finish(stores: Stores) -> None:
    await stores.users.claim(0, "w1")
    commit = replace(commit_of(after(UserState("u"), 7), [7]), explored={"taken": 1, "taken:7": 1})
    explored = ServedList((3, 9), "v000001", "champion", "0-5-e5", explored=9)
    finish = PartitionFinish(0, "w1", 5, [ServedUpdate("u", explored, None)], {}, {"shown": 1, "shown:9": 1})
    for _ in range(2):
        await stores.users.commit([commit])
        await stores.users.finish_all([finish])
    assert (await stores.users.load(["u"]))[0].served == explored
    names = ["shown", "shown:9", "taken", "taken:7", "taken:9"]
    assert await stores.serving.exploration(names) == dict(zip(names, (1, 1, 1, 1, 0), strict=True))
    assert await stores.serving.exploration([]) == {}
    with pytest.raises(FencedError):
        await stores.users.finish_all([replace(finish, owner="other", done=6)])
    assert (await stores.serving.exploration(["shown"]))["shown"] == 1


async def test_a_list_stored_before_exploration_was_counted_is_still_read(stores: Stores) -> None:
    old = {"items": [3, 9], "version": None, "arm": "champion", "recommendation_id": "0-1-e1"}
    await stores.redis.hset(stores.keys.user("u"), "served", json.dumps(old))
    assert (await stores.users.load(["u"]))[0].served == ServedList((3, 9), None, "champion", "0-1-e1")


async def test_a_claim_counts_epochs(stores: Stores) -> None:
    for owner in ("w1", "w2", "w3"):
        await stores.users.claim(2, owner)
    key = stores.keys.watermark("worker", "millrace.events", 2)
    assert await stores.redis.hgetall(key) == {b"epoch": b"3", b"owner": b"w3"}


async def test_what_a_person_looks_at_is_readable(stores: Stores) -> None:
    await put_users(stores.redis, stores.keys, [after(UserState("u"), 7, 8)])
    history = await stores.redis.hget(stores.keys.user("u"), "history")
    assert json.loads(history) == [[8, 4.5, 1001], [7, 4.5, 1000]]


async def test_setting_watermarks_fences_whoever_held_the_partition(stores: Stores) -> None:
    await stores.users.claim(0, "w1")
    await stores.users.set_watermarks("worker", "millrace.events", {0: Watermark(5, 4), 3: Watermark(8, 8)})
    assert await stores.users.watermarks("worker", "millrace.events") == {0: Watermark(5, 4), 3: Watermark(8, 8)}
    with pytest.raises(FencedError):
        await stores.users.commit([commit_of(after(UserState("u"), 7), [7], expected=5, new=6)])
    assert await stores.users.claim(0, "w1") == Watermark(5, 4)
    await stores.users.commit([commit_of(after(UserState("u"), 7), [7], expected=5, new=6)])


async def test_the_server_may_forget_the_scripts(stores: Stores) -> None:
    await stores.users.claim(0, "w1")
    await stores.users.claim(2, "w1")
    await stores.redis.script_flush()
    commits = [
        commit_of(after(UserState("v"), 3), [3], partition=2),
        commit_of(after(UserState("u"), 7), [7], partition=0),
    ]
    await stores.users.commit(commits)
    assert [state.count for state in await stores.users.load(["u", "v"])] == [1, 1]


async def test_clearing_stays_inside_the_prefix_even_with_glob_characters(stores: Stores, settings: Settings) -> None:
    await put_users(stores.redis, stores.keys, [after(UserState(f"u{n}"), 1) for n in range(2500)])
    await stores.redis.set(f"other-{settings.redis_prefix}user:x", "keep")
    await stores.redis.set(f"{settings.redis_prefix}userless", "keep")
    assert await stores.users.clear() == 5000
    assert (await stores.users.load(["u1"]))[0].count == 0
    assert await stores.redis.exists(f"other-{settings.redis_prefix}user:x", f"{settings.redis_prefix}userless") == 2
    assert await stores.clear() == 1
