"""All that is held about a person: written out, and removed from a real Redis and a real log."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from both_logs import ON_BOTH, chosen_log

from millrace.consumers.privacy import export, forget
from millrace.kernel.contracts import ActivityEvent
from millrace.kernel.errors import ConfigurationError, TransientError
from millrace.kernel.settings import Settings
from millrace.kernel.user_state import ServedList
from millrace.stores.event_log import IMPORT_PARTITION, EventLog, LoggedEvent, open_event_log
from millrace.stores.redis.stores import Stores, open_stores
from millrace.stores.redis.values import ServedUpdate, Watermark
from millrace.streams.rebuild import rebuild
from millrace.streams.rebuild.checkpoint import checkpoint_path
from millrace.streams.verify import verify

pytestmark = pytest.mark.services

WHO = "person-3"
OTHERS = 5
EVENTS = 120
REPEATED = {number for number in range(EVENTS) if number % 37 == 36 and number % OTHERS == 3}


@pytest.fixture
def config(
    own_settings: Callable[..., Settings], request: pytest.FixtureRequest, redis_server: str, tmp_path: Path
) -> Settings:
    return own_settings(redis_url=redis_server, **chosen_log(request, tmp_path))


@pytest.fixture
def log(config: Settings) -> Iterator[EventLog]:
    opened = open_event_log(config)
    opened.append([logged(number) for number in range(EVENTS)])
    yield opened
    opened.close()


@pytest.fixture
async def stores(config: Settings, log: EventLog) -> AsyncIterator[Stores]:
    """Return the stores of a Redis made from the log."""
    async with open_stores(config) as opened:
        await rebuild(log, opened.redis, config)
        yield opened


def logged(number: int) -> LoggedEvent:
    """The first 30 are imported; every 37th repeats an event of the same person."""
    user = number % OTHERS
    event = ActivityEvent(
        event_id=f"e{number - OTHERS * (number % 37 == 36)}",
        user_id=f"person-{user}",
        item_id=f"i{number * 7 % 19}",
        type="rating" if number % 3 else "view",
        value=0.5 + number % 10 / 2 if number % 3 else None,
        ts_ms=1_000_000 + 1000 * number,
    )
    if number < 30:
        return LoggedEvent(IMPORT_PARTITION, number, event.ts_ms, event)
    return LoggedEvent(user % 2, number, 10_000_000 + number, event)


async def dump(stores: Stores) -> bytes:
    """Return every key and value below the prefix."""
    run = stores.redis.execute_command
    everything = []
    for key in await run("KEYS", f"{stores.keys.prefix}*"):
        everything += [key, await run("DUMP", key)]
        if await run("TYPE", key) in {b"hash", "hash"}:
            everything += [part for pair in (await run("HGETALL", key)).items() for part in pair]
    return b"\n".join(everything)


async def serve(stores: Stores, config: Settings) -> None:
    """Leave the person a list, as a worker does."""
    end = (await stores.users.watermarks("worker", config.topics.events))[1].state
    await stores.users.set_watermarks("worker", config.topics.events, {1: Watermark(end, end - 1)})
    await stores.users.claim(1, "worker")
    served = ServedList((1, 2), None, "champion", "r-1", explored=2)
    update = ServedUpdate(WHO, served, None, b'{"user_id": "person-3"}')
    await stores.users.finish(1, "worker", end, [update], {})


@ON_BOTH
async def test_nothing_names_a_forgotten_person_and_everything_else_agrees(
    log: EventLog, stores: Stores, config: Settings
) -> None:
    await serve(stores, config)
    before, ends, gaps = await stores.statistics.scalars(), log.end(), log.gaps()
    assert WHO.encode() in await dump(stores)
    done = await forget(log, stores, config, WHO)
    assert (done.events, done.was_in_redis) == (EVENTS // OTHERS, True)
    assert WHO.encode() not in await dump(stores)
    assert log.user_history(WHO) == []
    assert not [each for page in log.read({}) for each in page if each.event.user_id == WHO]
    assert (log.end(), log.gaps()) == (ends, gaps)
    # What the person added to the counts of items stays.
    assert await stores.statistics.scalars() == before
    found = await verify(log, stores, config, patience_s=0.3)
    assert found.equal, found.differences
    assert found.forgotten_events == EVENTS // OTHERS - len(REPEATED) < EVENTS // OTHERS
    await rebuild(log, stores.redis, config)
    after = await stores.statistics.scalars()
    assert (after["clock"], after["value_sum"]) == (before["clock"], before["value_sum"])
    found = await verify(log, stores, config, patience_s=0.3)
    assert found.equal, found.differences
    assert (found.forgotten_events, found.users) == (0, OTHERS - 1)
    assert WHO.encode() not in await dump(stores)


async def test_a_forgotten_persons_later_event_starts_from_nothing(
    log: EventLog, stores: Stores, config: Settings
) -> None:
    await forget(log, stores, config, WHO)
    log.append([logged(EVENTS + 3)])
    assert logged(EVENTS + 3).event.user_id == WHO
    mark = {1: Watermark(EVENTS + 3, EVENTS + 3)}
    for role in ("worker", "statistics"):
        await stores.users.set_watermarks(role, config.topics.events, mark)
    await rebuild(log, stores.redis, config)
    (state,) = await stores.users.load([WHO])
    assert state.count == 1
    assert (await verify(log, stores, config)).equal


async def test_an_event_that_comes_meanwhile_is_all_that_is_left(
    log: EventLog, stores: Stores, config: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = log.forget

    def forget_and_log_more(*args: object) -> int:
        removed = remove(*args)  # type: ignore[arg-type]
        log.append([logged(EVENTS + 3), logged(EVENTS + 4)])
        return removed

    monkeypatch.setattr(log, "forget", forget_and_log_more)
    read = stores.users.watermarks

    async def as_far_as_the_log(role: str, topic: str) -> dict[int, Watermark]:
        ends = {each: Watermark(end, end) for each, end in log.end().items() if each >= 0}
        await stores.users.set_watermarks(role, topic, ends)
        return await read(role, topic)

    monkeypatch.setattr(stores.users, "watermarks", as_far_as_the_log)
    await forget(log, stores, config, WHO)
    (state,) = await stores.users.load([WHO])
    assert state.count == 1
    assert state.served is None


async def test_events_on_their_way_are_waited_for(log: EventLog, stores: Stores, config: Settings) -> None:
    log.append([logged(EVENTS + 3)])
    with pytest.raises(TransientError, match="worker role has yet to handle events of this user"):
        await forget(log, stores, config, WHO, wait_s=0.1)
    assert log.user_history(WHO)


@ON_BOTH
async def test_an_export_holds_everything(log: EventLog, stores: Stores, config: Settings) -> None:
    await serve(stores, config)
    held = await export(log, stores, config, WHO)
    (state,) = await stores.users.load([WHO])
    profile = held["profile"]
    assert (profile["count"], profile["mean_value"]) == (state.count, state.mean_value)
    theirs = [each for each in map(logged, range(EVENTS)) if each.event.user_id == WHO]
    applied = [each.event.item_id for each in theirs if each.offset not in REPEATED]
    assert profile["touched"] == list(dict.fromkeys(applied))
    assert profile["history"][0]["item_id"] == theirs[-1].event.item_id
    items = await stores.catalogue.item_ids([1, 2])
    assert profile["served"] == {
        "items": items, "explored": items[1], "model_version": None, "arm": "champion", "recommendation_id": "r-1",
    }  # fmt: skip
    assert profile["recommendation"] == {"user_id": WHO}
    assert [each["event_id"] for each in held["events"]] == [each.event.event_id for each in theirs]
    assert {(each["partition"], each["offset"]) for each in held["events"]} == {
        (each.partition, each.offset) for each in theirs
    }
    assert held["statistics_memory"]["count"] == state.count
    assert json.loads(json.dumps(held)) == held
    with pytest.raises(ConfigurationError, match="Nothing is held about 'nobody'"):
        await export(log, stores, config, "nobody")


async def test_the_commands(log: EventLog, stores: Stores, config: Settings, tmp_path: Path) -> None:
    checkpoint_path(config).touch()

    def millrace(*arguments: str, answer: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", "millrace", *arguments]
        environment = {**os.environ, **config.environment()}
        return subprocess.run(
            command, env=environment, input=answer, capture_output=True, text=True, timeout=120, check=False
        )

    output = tmp_path / "person.json"
    assert millrace("export", WHO, "--output", str(output)).returncode == 0
    assert len(json.loads(output.read_text())["events"]) == EVENTS // OTHERS
    assert millrace("forget", WHO, answer="n\n").returncode == 1
    assert log.user_history(WHO)
    done = millrace("forget", WHO, "--yes")
    assert done.returncode == 0, done.stderr
    assert f"{EVENTS // OTHERS} events removed from the event log, and the profile from Redis" in done.stderr
    assert not checkpoint_path(config).exists()
    again = millrace("forget", WHO, "--yes", "--json")
    assert json.loads(again.stdout)["events"] == 0
