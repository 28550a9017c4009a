"""docs/how-to/rebuild-and-back-up.md: a copy of the log and of the model registry is a whole backup."""

import asyncio
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from millrace.kernel.contracts import ActivityEvent, CatalogueItem
from millrace.kernel.settings import Settings
from millrace.stores.event_log import EventLog, LoggedEvent, open_event_log
from millrace.stores.item_ids import write_item_ids
from millrace.stores.redis.stores import open_stores
from millrace.streams.rebuild import rebuild
from millrace.streams.verify import verify

pytestmark = pytest.mark.services

ITEMS = [CatalogueItem(item_id=f"i{number}", title=f"T{number}") for number in range(30)]


@pytest.fixture
def config(redis_server: str, tmp_path: Path) -> Settings:
    return Settings(redis_url=redis_server, redis_prefix=f"{tmp_path.name}:", home=tmp_path / "home")


def logged(number: int) -> LoggedEvent:
    event = ActivityEvent(
        event_id=f"e{number}", user_id=f"u{number % 7}", item_id=f"i{number % 30}", type="view", ts_ms=1000 * number
    )
    return LoggedEvent(number % 7 % 2, number, number, event)


@contextmanager
def writing(log: EventLog, first: int) -> Iterator[None]:
    """Go on writing as the log writer does."""
    stop = threading.Event()

    def write() -> None:
        number = first
        while not stop.is_set():
            log.append([logged(number)])
            number += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_a_copy_of_log_and_registry_brings_everything_back(config: Settings, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    backup.mkdir()
    with closing(open_event_log(config)) as log:
        log.upsert_items(ITEMS)
        log.append([logged(number) for number in range(500)])
        version = config.registry_dir / "v000001"
        version.mkdir(parents=True)
        # Not the order of the log: a model version has been trained on other indexes.
        write_item_ids(version, dict(enumerate(reversed(ITEMS), start=1)))
        with writing(log, 500):
            with closing(sqlite3.connect(config.home / "events.sqlite")) as connection:
                connection.execute("VACUUM INTO ?", (str(backup / "events.sqlite"),))
            shutil.copytree(config.registry_dir, backup / "models")
    shutil.rmtree(config.home)

    restored = config.model_copy(update={"home": backup})

    async def bring_back(log: EventLog) -> None:
        async with open_stores(restored) as stores:
            report = await rebuild(log, stores.redis, restored)
            assert report.events == log.count() >= 500
            assert await stores.catalogue.indexes(["i29", "i0"]) == [1, 30]
            assert (await verify(log, stores, restored)).equal

    with closing(open_event_log(restored)) as log:
        asyncio.run(bring_back(log))
        # The log writer goes on where the copy ends.
        number = max(log.end().values()) + 1
        log.append([logged(number)])
        assert log.at(number % 7 % 2, number) == logged(number)
