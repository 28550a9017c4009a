"""A rebuild that is killed goes on where it was, and ends as if nothing had happened."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from millrace.kernel.contracts import ActivityEvent
from millrace.kernel.settings import Settings
from millrace.stores.event_log import EventLog, LoggedEvent, open_event_log
from millrace.stores.redis.maintenance import clear_all
from millrace.stores.redis.stores import open_stores
from millrace.streams.rebuild import rebuild
from millrace.streams.rebuild.checkpoint import checkpoint_path
from millrace.streams.verify import verify

pytestmark = pytest.mark.services

EVENTS = 12_000
PARTITIONS = 3

# Says where it is and waits there to be killed.
CHILD = """
import asyncio, sys, time
from millrace.stores.event_log import open_event_log
from millrace.kernel.settings import load_settings
from millrace.streams.rebuild import run
from millrace.stores.redis.connect import connected

def here(*_):
    print("here", flush=True)
    time.sleep(600)

async def hang(*_):
    here()

if sys.argv[1] != "log":
    setattr(run, sys.argv[1], hang)

async def main():
    settings = load_settings()
    async with connected(settings) as redis:
        await run.rebuild(
            open_event_log(settings), redis, settings,
            lambda done, total: here() if sys.argv[1] == "log" and done >= total // 2 else None,
            checkpoint_interval_s=0.0,
        )

asyncio.run(main())
"""


@pytest.fixture
def log(config: Settings) -> Iterator[EventLog]:
    opened = open_event_log(config)
    opened.append([logged(number) for number in range(EVENTS)])
    yield opened
    opened.close()


def logged(number: int) -> LoggedEvent:
    user = number * number % 101
    event = ActivityEvent(
        event_id=f"e{number}",
        user_id=f"u{user}",
        item_id=f"i{number * 7 % 211}",
        type="rating",
        value=0.5 + number % 10 / 2,
        ts_ms=1000 * number,
    )
    return LoggedEvent(user % PARTITIONS, number, 10_000_000 + number, event)


def killed(config: Settings, point: str) -> None:
    command = [sys.executable, "-c", CHILD, point]
    environment = {**os.environ, **config.environment()}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "here\n"
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL


@pytest.mark.parametrize("point", ["log", "put_statistics", "put_users"])
async def test_it_goes_on(point: str, log: EventLog, config: Settings) -> None:
    killed(config, point)
    assert checkpoint_path(config).exists()
    async with open_stores(config) as stores:
        report = await rebuild(log, stores.redis, config)
        assert report.events == EVENTS
        assert report.resumed_events == (EVENTS if point != "log" else 10_000)
        assert not checkpoint_path(config).exists()
        assert (await verify(log, stores, config)).equal


async def test_it_starts_again_where_what_was_saved_no_longer_fits(log: EventLog, config: Settings) -> None:
    killed(config, "log")
    async with open_stores(config) as stores:
        await clear_all(stores.redis, stores.keys)
        # Other items get the first indexes now.
        await stores.catalogue.assign(["another", "i210"])
        report = await rebuild(log, stores.redis, config)
        assert (report.events, report.resumed_events) == (EVENTS, 0)
        assert (await verify(log, stores, config)).equal
    killed(config.model_copy(update={"neighbours_per_item": 64}), "log")
    async with open_stores(config) as stores:
        assert (await rebuild(log, stores.redis, config)).resumed_events == 0
