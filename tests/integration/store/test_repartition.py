"""Users keep everything when they are laid out for another number of partitions."""

from dataclasses import replace

import numpy as np
import pytest
from stored_users import put_users

from millrace.kernel.errors import ConfigurationError
from millrace.kernel.user_state import ResolvedEvent, ServedList, UserState, apply_event
from millrace.stores.redis.layout import TopicLayout
from millrace.stores.redis.redis_users import RedisUserStore
from millrace.stores.redis.stores import Stores
from millrace.stores.redis.values import PartitionCommit, ServedUpdate, Watermark
from millrace.streams import repartition as module
from millrace.streams.repartition import check_all_done, move_users, repartition

pytestmark = pytest.mark.services

TOPIC = "millrace.events"
USERS = [f"u{number}" for number in range(300)] + ["with{brace}", "with:colon", "ü"]
SERVED = ServedList((3, 1, 2), "v000001", "champion", "0-7-e7")


def state_of(user_id: str) -> UserState:
    event = ResolvedEvent(f"{user_id}-1", user_id, 1 + len(user_id), 4.5, 1000)
    return apply_event(UserState(user_id), event).state


async def fill(stores: Stores) -> None:
    await put_users(stores.redis, stores.keys, map(state_of, USERS))
    home = stores.keys.home("u") or 0
    await stores.users.claim(home, "w")
    await stores.users.commit([PartitionCommit(home, "w", -1, 1, [], {})])
    await stores.users.finish(home, "w", 1, [ServedUpdate("u", SERVED, np.array([5], np.int32), b"{}")], {})
    await TopicLayout(stores.redis, stores.keys, TOPIC).set_partitions(3)


async def check(stores: Stores, partitions: int) -> None:
    keys = replace(stores.keys, partitions=partitions) if stores.keys.clustered else stores.keys
    users = RedisUserStore(stores.redis, keys, TOPIC)
    assert str(await users.load(USERS)) == str([state_of(user_id) for user_id in USERS])
    (served,) = await users.load(["u"])
    assert (served.served, served.proposals.tolist(), await users.record("u")) == (SERVED, [5], b"{}")
    assert await TopicLayout(stores.redis, keys, TOPIC).partitions() == partitions


@pytest.mark.parametrize("partitions", [6, 7, 2])
async def test_nothing_is_lost_or_left_behind(stores: Stores, partitions: int) -> None:
    await fill(stores)
    progress: list[int] = []
    done = await repartition(stores.redis, stores.keys, TOPIC, partitions, progress.append)
    assert (done.before, done.partitions) == (3, partitions)
    await check(stores, partitions)
    if stores.keys.clustered:
        target = replace(stores.keys, partitions=partitions)
        assert done.moved == sum(target.home(each) != stores.keys.home(each) for each in [*USERS, "u"]) == progress[-1]
        assert await move_users(stores.redis, stores.keys, partitions) == 0
    else:
        assert done.moved == 0
    assert (await repartition(stores.redis, stores.keys, TOPIC, partitions)).moved == 0


async def test_a_run_that_is_killed_is_repeated(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    if not stores.keys.clustered:
        return
    await fill(stores)
    monkeypatch.setattr(module, "_USERS_PER_STEP", 10)

    def killed(moved: int) -> None:
        if moved > 50:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await repartition(stores.redis, stores.keys, TOPIC, 6, killed)
    assert await TopicLayout(stores.redis, stores.keys, TOPIC).partitions() == 3
    await repartition(stores.redis, stores.keys, TOPIC, 6)
    await check(stores, 6)


def test_what_is_left_to_handle_is_counted_in_the_old_partitions_alone() -> None:
    marks = {0: Watermark(9, 9), 1: Watermark(4, 2)}
    check_all_done("worker", marks, {0: 10, 1: 3, 2: 50}, before=2)
    with pytest.raises(ConfigurationError, match="worker has 7 events of the old partitions to handle yet"):
        check_all_done("worker", marks, {0: 10, 1: 10, 2: 50}, before=2)
    with pytest.raises(ConfigurationError, match="has 50 events"):
        check_all_done("worker", marks, {0: 10, 1: 3, 2: 50}, before=None)
