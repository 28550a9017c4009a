"""Comparing a real Redis with a real log: equal where it is, and each difference by its name where it is not."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from both_logs import ON_BOTH, chosen_log
from stored_users import put_users

from millrace.kernel.contracts import ActivityEvent, CatalogueItem
from millrace.kernel.settings import Settings
from millrace.kernel.user_state import ResolvedEvent, UserState
from millrace.stores.event_log import IMPORT_PARTITION, EventLog, LoggedEvent, open_event_log
from millrace.stores.redis.stores import Stores, open_stores
from millrace.stores.redis.values import StatisticsFlush, Watermark
from millrace.streams.keeper.learner import Lesson, StatisticsLearner
from millrace.streams.rebuild import rebuild
from millrace.streams.statistics import ItemStatistics
from millrace.streams.verify import Verification, verify

pytestmark = pytest.mark.services

USERS = 9
ITEMS = 40
IMPORTED = 60


@pytest.fixture
def config(
    own_settings: Callable[..., Settings], request: pytest.FixtureRequest, redis_server: str, tmp_path: Path
) -> Settings:
    return own_settings(redis_url=redis_server, **chosen_log(request, tmp_path))


@pytest.fixture
def log(config: Settings) -> Iterator[EventLog]:
    opened = open_event_log(config)
    yield opened
    opened.close()


@pytest.fixture
async def stores(config: Settings) -> AsyncIterator[Stores]:
    async with open_stores(config) as opened:
        yield opened


def event(number: int) -> ActivityEvent:
    return ActivityEvent(
        event_id=f"e{number - number % 23 // 22}",  # every 23rd repeats the one before
        user_id=f"u{number % USERS}",
        item_id=f"i{number * 7 % ITEMS}",
        type="rating",
        value=0.5 + number % 10 / 2,
        ts_ms=1_000_000 + 1000 * (number - 5 * (number % 11 == 3)),
    )


def streamed(first: int, last: int, partitions: int) -> list[LoggedEvent]:
    """Events by user's partition; every 31st offset is missing, as behind a dead letter."""
    numbers = [number for number in range(first, last) if number % 31]
    return [LoggedEvent(number % USERS % partitions, number, 10_000_000 + number, event(number)) for number in numbers]


def fill(log: EventLog, partitions: int = 2, events: int = 300) -> None:
    log.upsert_items([CatalogueItem(item_id=f"i{number}", title=f"T{number}") for number in range(5)])
    log.append([LoggedEvent(IMPORT_PARTITION, number, number, event(number)) for number in range(IMPORTED)])
    log.append(streamed(IMPORTED, events, partitions))


async def check(log: EventLog, stores: Stores, config: Settings) -> Verification:
    return await verify(log, stores, config, patience_s=0.3)


# What is compared does not depend on the log: one test of each kind on Cassandra is enough.
@ON_BOTH
@pytest.mark.parametrize("partitions", [1, 3])
async def test_what_was_rebuilt_is_equal(log: EventLog, stores: Stores, config: Settings, partitions: int) -> None:
    fill(log, partitions)
    await rebuild(log, stores.redis, config)
    seen: list[tuple[int, int]] = []
    found = await verify(log, stores, config, on_progress=lambda done, total: seen.append((done, total)))
    assert found.differences == found.undecided == ()
    assert found.equal
    assert (found.users, found.items, found.exact) == (USERS, ITEMS, partitions == 1)
    assert found.events == sum(state.count for state in await stores.users.load([f"u{n}" for n in range(USERS)]))
    assert found.compared_up_to["worker"] == {each: end for each, end in log.end().items() if each >= 0}
    assert seen[-1] == (log.count(), log.count())


@ON_BOTH
async def test_a_log_that_is_ahead_is_compared_up_to_the_watermarks(
    log: EventLog, stores: Stores, config: Settings
) -> None:
    fill(log)
    await rebuild(log, stores.redis, config)
    before = log.end()
    log.append(streamed(300, 400, 2))
    found = await check(log, stores, config)
    assert found.equal
    assert found.compared_up_to["statistics"] == {each: before[each] for each in (0, 1)}
    assert found.log_end == log.end() != before


async def test_a_log_that_is_behind_decides_nothing(log: EventLog, stores: Stores, config: Settings) -> None:
    fill(log)
    await rebuild(log, stores.redis, config)
    (ahead,) = await stores.users.load(["u1"])
    await put_users(stores.redis, stores.keys, [UserState("u1", ahead.count + 1, ahead.value_sum + 1.0)])
    await stores.users.set_watermarks("worker", config.topics.events, {1: Watermark(9999, 9999)})
    found = await check(log, stores, config)
    assert not found.differences
    assert {each.name for each in found.undecided} == {"u1"}
    assert not found.equal


async def test_a_keeper_that_took_the_partitions_in_another_order_is_right_too(
    log: EventLog, stores: Stores, config: Settings
) -> None:
    fill(log)
    await rebuild(log, stores.redis, config)
    indexes: dict[str, int] = {}
    events = [each for page in log.read({}) for each in page]
    for each in events:
        (indexes[each.event.item_id],) = await stores.catalogue.assign([each.event.item_id])
    keeper = StatisticsLearner(ItemStatistics(config.neighbours_per_item), {}, 1)
    # One partition after the other, not side by side.
    for each in sorted(events, key=lambda one: (one.partition, one.offset)):
        lesson = ResolvedEvent.of(each.event, indexes[each.event.item_id], config.event_policy)
        keeper.load_tails(dict.fromkeys(keeper.unknown([lesson.user_id])))
        # The learner counts no offsets below 0, which imported events have none of their own for.
        partition = each.partition + 1
        keeper.learn([Lesson(partition, each.offset, lesson)], {partition: each.offset})
    flush = keeper.take_flush()
    assert flush is not None
    await stores.statistics.flush("", StatisticsFlush(flush.pages, flush.popularity, flush.tails, flush.scalars, {}))
    found = await check(log, stores, config)
    assert found.equal, found.differences
    assert found.displacement_events > 0


async def _user_count(stores: Stores) -> None:
    (state,) = await stores.users.load(["u3"])
    await stores.redis.execute_command("HSET", stores.keys.user("u3"), "count", state.count + 1)


async def _user_touched(stores: Stores) -> None:
    await stores.redis.execute_command("APPEND", stores.keys.touched("u4"), b"\x01\0\0\0")


async def _user_lost(stores: Stores) -> None:
    await stores.redis.execute_command("DEL", stores.keys.user("u5"), stores.keys.touched("u5"))


async def _stranger(stores: Stores) -> None:
    await put_users(stores.redis, stores.keys, [UserState("stranger", 1, 3.0)])


async def _tail_lost(stores: Stores) -> None:
    await stores.redis.execute_command("DEL", stores.keys.tail("u6"))


async def _page_lost(stores: Stores) -> None:
    (index,) = await stores.catalogue.assign(["i7"])
    await stores.redis.execute_command("DEL", stores.keys.page(index))


async def _page_of_another_item(stores: Stores) -> None:
    index, other = await stores.catalogue.assign(["i7", "i8"])
    (page,) = await stores.statistics.pages([other])
    await stores.redis.execute_command("SET", stores.keys.page(index), page)


async def _popularity(stores: Stores) -> None:
    (index,) = await stores.catalogue.assign(["i9"])
    # Counts come first in a chunk, 8 bytes each behind a header of 8.
    await stores.redis.execute_command("SETRANGE", stores.keys.popularity(0), 8 + 8 * index, b"\x63")


async def _clock(stores: Stores) -> None:
    await stores.redis.execute_command("HINCRBY", stores.keys.statistics, "clock", 1)


async def _title(stores: Stores) -> None:
    await stores.redis.execute_command("HSET", stores.keys.item("i2"), "title", "another")


@pytest.mark.parametrize(
    ("damage", "kind", "name", "field"),
    [
        (_user_count, "user", "u3", "count"),
        (_user_touched, "user", "u4", "touched"),
        (_user_lost, "user", "u5", "history"),
        (_stranger, "user", "stranger", "count"),
        (_tail_lost, "tail", "u6", "history"),
        (_page_lost, "page", "i7", "neighbours"),
        (_page_of_another_item, "page", "i7", "neighbours"),
        (_popularity, "popularity", "i9", "events"),
        (_clock, "statistics", "clock", "total"),
        (_title, "item", "i2", "content"),
    ],
)
async def test_each_difference_is_named(
    log: EventLog,
    stores: Stores,
    config: Settings,
    damage: Callable[[Stores], object],
    kind: str,
    name: str,
    field: str,
) -> None:
    fill(log)
    await rebuild(log, stores.redis, config)
    await damage(stores)  # type: ignore[misc]
    found = await check(log, stores, config)
    assert {(each.kind, each.name) for each in found.differences} == {(kind, name)}
    (difference,) = (each for each in found.differences if each.field == field)
    assert difference.logged != difference.stored
    assert str(difference).startswith(f"{kind} {name}, {field}: ")


async def test_the_command(log: EventLog, stores: Stores, config: Settings, tmp_path: Path) -> None:
    fill(log)
    await rebuild(log, stores.redis, config)

    def millrace(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", "millrace", "verify", *arguments]
        environment = {**os.environ, **config.environment()}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)

    equal = millrace("--wait", "30", "--json")
    assert equal.returncode == 0, equal.stderr
    assert json.loads(equal.stdout)["equal"] is True
    await _user_count(stores)
    await _clock(stores)
    report = tmp_path / "report.json"
    different = millrace("--show", "1", "--report", str(report))
    assert different.returncode == 1
    assert len(different.stdout.splitlines()) == 1
    assert "u3, count" in different.stdout
    assert "2 differences" in different.stderr
    assert {each["name"] for each in json.loads(report.read_text())["differences"]} == {"u3", "clock"}
