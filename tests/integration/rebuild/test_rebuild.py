"""Rebuilding a real Redis from a real log, and the commands around it."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest
from redis.asyncio import Redis
from stored_users import put_users

from millrace.consumers.importing import import_history
from millrace.kernel.contracts import ActivityEvent, CatalogueItem
from millrace.kernel.errors import ConfigurationError
from millrace.kernel.keys import Keys
from millrace.kernel.settings import Settings
from millrace.kernel.user_state import ResolvedEvent, UserState, apply_event
from millrace.stores.event_log import IMPORT_PARTITION, LoggedEvent
from millrace.stores.event_log.sqlite import SqliteEventLog
from millrace.stores.item_ids import write_item_ids
from millrace.stores.redis.connect import connected
from millrace.stores.redis.maintenance import clear_all
from millrace.stores.redis.redis_catalogue import RedisCatalogueStore
from millrace.stores.redis.redis_serving import RedisServingStore
from millrace.stores.redis.redis_statistics import RedisStatisticsStore
from millrace.stores.redis.redis_users import RedisUserStore
from millrace.stores.redis.values import Watermark
from millrace.streams.rebuild import rebuild, refuse_while_running

pytestmark = pytest.mark.services

USERS = 7
ITEMS = 30


@pytest.fixture
def log(config: Settings) -> Iterator[SqliteEventLog]:
    opened = SqliteEventLog(config.home / "events.sqlite")
    yield opened
    opened.close()


@pytest.fixture
async def redis(config: Settings) -> AsyncIterator[Redis]:
    async with connected(config) as client:
        yield client


def event(number: int) -> ActivityEvent:
    return ActivityEvent(
        event_id=f"e{number}",
        user_id=f"u{number % USERS}",
        item_id=f"i{(number * 7) % ITEMS}",
        type="rating",
        value=0.5 + number % 10 / 2,
        ts_ms=1000 * number,
    )


def fill(log: SqliteEventLog, events: int = 100) -> None:
    """Half imported, half streamed over two partitions; three items are known, the others only named."""
    items = [CatalogueItem(item_id=f"i{number}", title=f"T{number}", genres=("Drama",)) for number in (5, 4, 3)]
    import_history(log, items, map(event, range(events // 2)))
    log.append(
        [
            LoggedEvent(number % USERS % 2, number, 10_000_000 + number, event(number))
            for number in range(events // 2, events)
        ]
    )


async def expected_users(log: SqliteEventLog, catalogue: RedisCatalogueStore) -> dict[str, UserState]:
    users: dict[str, UserState] = {}
    for page in log.read({}):
        for logged in page:
            fields = logged.event
            (index,) = await catalogue.assign([fields.item_id])
            before = users.get(fields.user_id, UserState(fields.user_id))
            change = ResolvedEvent(fields.event_id, fields.user_id, index, fields.value or 0.0, fields.ts_ms)
            users[fields.user_id] = apply_event(before, change).state
    return users


async def test_everything_is_in_redis_and_a_second_time_changes_nothing(
    log: SqliteEventLog, redis: Redis, config: Settings
) -> None:
    fill(log)
    keys, topic = Keys(config.redis_prefix), config.topics.events
    catalogue, statistics = RedisCatalogueStore(redis, keys), RedisStatisticsStore(redis, keys, topic)
    store = RedisUserStore(redis, keys, topic)
    seen: list[tuple[int, int]] = []
    for flush in (1, 2):
        report = await rebuild(log, redis, config, lambda done, total: seen.append((done, total)))
        assert (report.events, report.users) == (100, USERS)
        assert seen[-1] == (100, 100)
        assert await catalogue.indexes(["i5", "i4", "i3", "i0"]) == [1, 2, 3, 4]
        expected = await expected_users(log, catalogue)
        for state in await store.load(sorted(expected)):
            for name in ("items", "values", "ts_ms", "event_hashes", "touched"):
                assert np.array_equal(getattr(state, name), getattr(expected[state.user_id], name)), name
            assert state.count == expected[state.user_id].count
        scalars = await statistics.scalars()
        assert (scalars["clock"], scalars["flush"]) == ("100", str(flush))
        assert all(await statistics.pages([1, 2, 3]))
        assert all(await statistics.tails(sorted(expected)))
        ends = {partition: last for partition, last in log.end().items() if partition != IMPORT_PARTITION}
        for role in ("worker", "statistics"):
            marks = await store.watermarks(role, topic)
            assert marks == {partition: Watermark(last, last) for partition, last in ends.items()}


async def test_users_unknown_to_the_log_and_old_watermarks_go(
    log: SqliteEventLog, redis: Redis, config: Settings
) -> None:
    fill(log)
    store = RedisUserStore(redis, Keys(config.redis_prefix), config.topics.events)
    await put_users(redis, Keys(config.redis_prefix), [UserState("stranger", count=3)])
    await store.set_watermarks("worker", config.topics.events, {3: Watermark(77, 77)})
    await rebuild(log, redis, config)
    assert (await store.load(["stranger"]))[0].count == 0
    assert (await store.watermarks("worker", config.topics.events))[3] == Watermark()


async def test_indexes_and_models_survive(log: SqliteEventLog, redis: Redis, config: Settings) -> None:
    fill(log)
    keys = Keys(config.redis_prefix)
    catalogue, serving = RedisCatalogueStore(redis, keys), RedisServingStore(redis, keys)
    assert await catalogue.assign(["i9", "i3"]) == [1, 2]
    await serving.set_plan("v000001")
    await rebuild(log, redis, config)
    assert await catalogue.indexes(["i9", "i3", "i5"]) == [1, 2, 3]
    assert (await serving.plan()).champion == "v000001"


async def test_a_lost_redis_gets_the_indexes_of_the_newest_version_back(
    log: SqliteEventLog, redis: Redis, config: Settings
) -> None:
    fill(log)
    version = config.registry_dir / "v000001"
    version.mkdir(parents=True)
    write_item_ids(version, {1: CatalogueItem(item_id="i8"), 2: CatalogueItem(item_id="i3")})
    await rebuild(log, redis, config)
    catalogue = RedisCatalogueStore(redis, Keys(config.redis_prefix))
    assert await catalogue.indexes(["i8", "i3", "i5", "i4"]) == [1, 2, 3, 4]


async def test_topics_are_not_started_over_while_somebody_writes(redis: Redis, config: Settings) -> None:
    await refuse_while_running(redis, config)
    await RedisServingStore(redis, Keys(config.redis_prefix)).heartbeat("worker", "w1", {}, 60)
    with pytest.raises(ConfigurationError, match="while worker processes write"):
        await refuse_while_running(redis, config)


async def test_unknown_items_are_left_out_where_the_installation_refuses_them(
    log: SqliteEventLog, redis: Redis, config: Settings
) -> None:
    fill(log)
    strict = config.model_copy(update={"register_unknown_items": False})
    report = await rebuild(log, redis, strict)
    known = sum(logged.event.item_id in {"i3", "i4", "i5"} for page in log.read({}) for logged in page)
    assert report.events == known


def test_an_import_can_be_repeated_but_not_mixed(log: SqliteEventLog) -> None:
    assert import_history(log, [], map(event, range(20))) == 20
    assert import_history(log, [], map(event, range(30))) == 10
    with pytest.raises(ConfigurationError, match="another import.*'e0'"):
        import_history(log, [], map(event, range(1, 9)))


async def test_the_commands(config: Settings, redis: Redis, tmp_path: Path) -> None:
    folder = tmp_path / "ml"
    folder.mkdir()
    (folder / "movies.csv").write_text("movieId,title,genres\n7,Seven (1995),Crime\n8,Eight (1996),Drama\n")
    rows = [f"{user},{movie},4.0,{1000 + user}" for user in range(1, 6) for movie in (7, 8)]
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + "\n".join(rows) + "\n")
    environment = {**os.environ, **config.environment()}

    def millrace(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", "millrace", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)

    done = millrace("import", str(folder), "--until", "0.6")
    assert done.returncode == 0, done.stderr
    assert "6 new events and 2 items" in done.stderr
    assert "6 events of 3 users on 2 items are in Redis" in done.stderr
    again = millrace("import", str(folder), "--until", "0.6", "--log-only")
    assert "0 new events" in again.stderr
    await clear_all(redis, Keys(config.redis_prefix))
    rebuilt = millrace("rebuild", "--new-topic")
    assert "0 streamed events are history" in rebuilt.stderr
    assert "6 events of 3 users" in rebuilt.stderr
    missing = millrace("import", str(tmp_path / "nowhere"))
    assert missing.returncode == 1
    assert "nowhere" in missing.stderr
    assert "Traceback" not in missing.stderr
