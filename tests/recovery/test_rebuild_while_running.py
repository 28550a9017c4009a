"""Rebuilding and forgetting beside a worker, a keeper and a log writer that go on."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from recovery_harness import Published, Role, Stores, publish_events, read_topic, wait_until

from millrace.consumers.privacy import Forgotten, forget
from millrace.kernel.settings import Settings
from millrace.stores.event_log import open_event_log
from millrace.stores.redis.stores import open_stores
from millrace.streams.rebuild import RebuildReport, rebuild
from millrace.streams.verify import Verification, verify

# Roles start in seconds; on a machine that is busy with something else it may take minutes.
DEADLINE_S = 600.0

ITEMS = 60
# One of the seven users of `publish_events`; every 17th of their events repeats another.
FORGOTTEN = "u3"
FIRST = 300
BATCH = 10
# The embedded broker keeps the newest megabytes of a partition: short lists, so that all can be read in the end.
LIST_LENGTH = 2


class Publisher(threading.Thread):
    """Publishes until it is stopped."""

    def __init__(self, settings: Settings, published: Published) -> None:
        super().__init__(daemon=True)
        self.published = published
        self._settings = settings
        self._stop_wanted = threading.Event()

    def run(self) -> None:
        start = FIRST
        while not self._stop_wanted.wait(0.1):
            self.published = publish_events(self._settings, BATCH, start, self.published)
            start += BATCH

    def stop(self) -> Published:
        self._stop_wanted.set()
        self.join()
        return self.published


@contextmanager
def publishing(settings: Settings, published: Published) -> Iterator[Publisher]:
    publisher = Publisher(settings, published)
    publisher.start()
    try:
        yield publisher
    finally:
        publisher.stop()


async def damage(settings: Settings) -> None:
    """Lose a user, invent one (nobody of `publish_events` is u2), exchange two pages, lose a tail."""
    async with open_stores(settings) as stores:
        run = stores.redis.execute_command
        await run("DEL", stores.keys.user("u1"), stores.keys.touched("u1"))
        await run("HSET", stores.keys.user("u2"), "value_sum", "1.5")
        one, other = await stores.catalogue.assign(["i3", "i4"])
        await run("RENAME", stores.keys.page(one), stores.keys.page(other))
        await run("DEL", stores.keys.tail("u4"))


async def rebuilt(settings: Settings) -> RebuildReport:
    log = open_event_log(settings)
    try:
        async with open_stores(settings) as stores:
            return await rebuild(log, stores.redis, settings)
    finally:
        log.close()


async def forgotten(settings: Settings, user_id: str) -> Forgotten:
    log = open_event_log(settings)
    try:
        async with open_stores(settings) as stores:
            return await forget(log, stores, settings, user_id, DEADLINE_S)
    finally:
        log.close()


async def verified(settings: Settings, wait_s: float) -> Verification:
    log = open_event_log(settings)
    try:
        async with open_stores(settings) as stores:
            return await verify(log, stores, settings, wait_s=wait_s)
    finally:
        log.close()


@pytest.mark.services
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_roles_go_on_while_redis_is_rebuilt(bare_settings: Settings, tmp_path: Path) -> None:
    settings, log = bare_settings.model_copy(update={"list_length": LIST_LENGTH}), tmp_path / "roles.log"
    stores = Stores(settings)
    stores.seed_items(ITEMS)
    published = publish_events(settings, FIRST)
    with ExitStack() as stack:
        for name in ("worker", "statistics", "log-writer"):
            stack.enter_context(Role(name, settings, log))

        def handled(each: Published) -> bool:
            return all(stores.done(role, each.ends) for role in ("worker", "statistics"))

        wait_until(lambda: handled(published), "the first events are handled", log, DEADLINE_S)
        with publishing(settings, published) as publisher:
            asyncio.run(damage(settings))
            assert not asyncio.run(verified(settings, 0.0)).equal
            report = asyncio.run(rebuilt(settings))
            # Compared while everything goes on: undecided is what the log does not hold yet.
            found = asyncio.run(verified(settings, 0.0))
            assert not found.differences, found.differences[:5]
            removed = asyncio.run(forgotten(settings, FORGOTTEN))
            published = publisher.stop()
        wait_until(lambda: handled(published), "the last events are handled", log, DEADLINE_S)
        found = asyncio.run(verified(settings, 60.0))
        assert found.equal, (found.differences[:5], found.undecided[:5])
    # Some of what was published is forgotten, and what came later is not.
    theirs = [event for event in published.events.values() if event["user_id"] == FORGOTTEN]
    assert 0 < removed.events < len(theirs)
    assert 0 < found.forgotten_events < removed.events
    # The lost and the invented one at least; who is busy while the log is behind is written as well.
    assert report.replaced_users >= 2
    answered = {
        (value["source_partition"], value["source_offset"])
        for value in (json.loads(record.value()) for record in read_topic(settings, settings.topics.recommendations))
    }
    assert answered == published.events.keys()
