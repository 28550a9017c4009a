"""Rebuilding while roles seem to run, on a single Redis and on a cluster: their heartbeats and claims are played here.

tests/recovery/test_rebuild_while_running.py has the roles themselves.
"""

import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import closing

import pytest
from stored_users import put_users

from millrace.consumers.privacy import forget
from millrace.kernel.contracts import ActivityEvent
from millrace.kernel.errors import ConfigurationError
from millrace.kernel.keys import Keys
from millrace.kernel.settings import Settings
from millrace.kernel.user_state import ServedList, UserState
from millrace.stores.event_log import IMPORT_PARTITION, EventLog, LoggedEvent, open_event_log
from millrace.stores.redis.replacing import StatisticsReplacement, UserReplacement
from millrace.stores.redis.stores import Stores, open_stores
from millrace.stores.redis.values import ServedUpdate, Watermark
from millrace.streams.rebuild import fence, rebuild
from millrace.streams.verify import verify

pytestmark = pytest.mark.services

USERS = 12
PARTITIONS = 3
EVENTS = 200


@pytest.fixture(params=["redis_server", "redis_cluster"])
def config(own_settings: Callable[..., Settings], request: pytest.FixtureRequest) -> Settings:
    return own_settings(redis_url=request.getfixturevalue(request.param), topic_partitions=PARTITIONS)


@pytest.fixture
def log(config: Settings) -> Iterator[EventLog]:
    with closing(open_event_log(config)) as opened:
        opened.append([logged(number) for number in range(EVENTS)])
        yield opened


@pytest.fixture
async def stores(config: Settings, log: EventLog) -> AsyncIterator[Stores]:
    """Return the stores of a Redis made from the log, in which a worker and a keeper have left heartbeats."""
    async with open_stores(config) as opened:
        assert (await rebuild(log, opened.redis, config)).replaced_users == USERS
        for role in ("worker", "statistics"):
            await opened.serving.heartbeat(role, "1", {}, 60)
        yield opened


def logged(number: int) -> LoggedEvent:
    """An event in the partition that Kafka's default partitioner chooses; the first 40 are imported."""
    user_id = f"u{number % USERS}"
    event = ActivityEvent(
        event_id=f"e{number}", user_id=user_id, item_id=f"i{number * 7 % 31}", type="view", ts_ms=1000 * number
    )
    home = Keys(partitions=PARTITIONS).home(user_id)
    assert home is not None
    return LoggedEvent(IMPORT_PARTITION if number < 40 else home, number, number, event)


async def damage(stores: Stores) -> None:
    await stores.redis.execute_command("DEL", stores.keys.user("u1"))
    await stores.redis.execute_command("DEL", stores.keys.touched("u1"))
    await stores.redis.execute_command("HSET", stores.keys.user("u2"), "count", 1)
    await stores.redis.execute_command("DEL", stores.keys.tail("u3"))
    await stores.redis.execute_command("DEL", stores.keys.page(2))
    await put_users(stores.redis, stores.keys, [UserState("stranger", 1, 3.0)])


async def test_only_who_differs_is_written_and_keeps_the_list_shown(
    log: EventLog, stores: Stores, config: Settings
) -> None:
    await damage(stores)
    partition = logged(50).partition
    assert logged(50).event.user_id == "u2"
    state = (await stores.users.watermarks("worker", config.topics.events))[partition].state
    await stores.users.set_watermarks("worker", config.topics.events, {partition: Watermark(state, state - 1)})
    await stores.users.claim(partition, "worker")
    served = ServedList((1, 2), None, "champion", "r-1")
    await stores.users.finish(partition, "worker", state, [ServedUpdate("u2", served, None)], {})
    marks = await stores.users.watermarks("worker", config.topics.events)
    report = await rebuild(log, stores.redis, config)
    assert (report.replaced_users, report.events) == (3, EVENTS)
    found = await verify(log, stores, config)
    assert found.equal, found.differences
    assert await stores.users.watermarks("worker", config.topics.events) == marks
    (state,) = await stores.users.load(["u2"])
    assert state.served == served
    gone = await forget(log, stores, config, "u2")
    assert gone.events > 0
    found = await verify(log, stores, config)
    assert found.equal, found.differences
    assert found.forgotten_events == gone.events


async def test_who_is_claimed_back_is_written_in_the_next_attempt(
    log: EventLog, stores: Stores, config: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await damage(stores)
    monkeypatch.setattr(fence, "_PAUSE_S", 0.0)
    calls = {"worker": 0, "statistics": 0}

    def contended(kind: type[UserReplacement] | type[StatisticsReplacement]) -> None:
        original = kind.claim

        async def claim(self: UserReplacement, partitions: Sequence[int], owner: str) -> dict[int, int]:
            held = await original(self, partitions, owner)
            calls[kind.role] += 1
            if calls[kind.role] <= 2:
                # The role is back at once, and its token the newer one.
                await original(self, partitions, "role")
            return held

        monkeypatch.setattr(kind, "claim", claim)

    contended(UserReplacement)
    contended(StatisticsReplacement)
    await rebuild(log, stores.redis, config)
    assert calls == {"worker": 3, "statistics": 3}
    assert (await verify(log, stores, config)).equal


async def test_a_log_that_is_behind_is_waited_for_and_then_refused(
    log: EventLog, stores: Stores, config: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    partition = logged(EVENTS).partition
    ahead = {partition: Watermark(EVENTS, EVENTS)}
    await stores.users.set_watermarks("worker", config.topics.events, ahead)
    monkeypatch.setattr(fence, "_LOG_PATIENCE_S", 0.1)
    with pytest.raises(ConfigurationError, match="start `millrace log-writer`"):
        await rebuild(log, stores.redis, config)
    # A log writer that has nothing left: the records behind the log's end are dead letters.
    later_ms = time.time_ns() // 1_000_000 + 60_000
    await stores.serving.heartbeat("log-writer", "1", {"lag": 0, "waiting": "", "at_ms": later_ms}, 60)
    monkeypatch.setattr(fence, "_LOG_PATIENCE_S", 30.0)
    await damage(stores)
    await rebuild(log, stores.redis, config)
    found = await verify(log, stores, config, patience_s=0.1)
    assert found.equal, found.differences
    assert (await stores.users.watermarks("worker", config.topics.events))[partition] == ahead[partition]
