"""Workers outlive an absent Redis, and take over from one another."""

import json
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from recovery_checks import ITEMS, check_lists, check_state
from recovery_harness import Role, Stores, publish_events, wait_until

from millrace.kernel.settings import Settings

EVENTS = 200


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Any]:
    """Return a Redis that the test may freeze."""
    from millrace.apps.stacks.redis_server import RedisServer
    from millrace.apps.stacks.service import wait_ready

    server = RedisServer(tmp_path, tmp_path)
    server.start()
    try:
        wait_ready([server], timeout_s=30)
        yield server
    finally:
        if server.child is not None:
            os.kill(server.child.pid, signal.SIGCONT)
        server.stop()


def worker_status(stores: Stores) -> list[dict[str, Any]]:
    return [beat for beat in stores.heartbeats() if beat["role"] == "worker"]


def health(port: int) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            status: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as error:
        status = json.load(error)
    return status


@pytest.mark.services
@pytest.mark.slow
def test_a_frozen_redis_delays_and_loses_nothing(bare_settings: Settings, own_redis: Any, tmp_path: Path) -> None:
    settings = bare_settings.model_copy(update=own_redis.settings())
    log, stores = tmp_path / "worker.log", Stores(settings)
    stores.seed_items(ITEMS)
    with Role("worker", settings, log) as worker:
        first = publish_events(settings, 50)
        wait_until(lambda: stores.done("worker", first.ends), "the first events are done", log)
        port = worker_status(stores)[0]["port"]
        os.kill(own_redis.child.pid, signal.SIGSTOP)
        published = publish_events(settings, EVENTS, start=50, earlier=first)
        wait_until(lambda: "Redis" in str(health(port)["waiting_for"]), "the worker says that it waits for Redis", log)
        os.kill(own_redis.child.pid, signal.SIGCONT)
        wait_until(lambda: stores.done("worker", published.ends), "everything is done", log)
        assert health(port)["waiting_for"] is None
        assert worker.stop() == 0
    check_state(stores, published)
    check_lists(settings, published)


@pytest.mark.services
@pytest.mark.slow
def test_a_second_worker_takes_over_from_a_killed_one(bare_settings: Settings, tmp_path: Path) -> None:
    log, stores = tmp_path / "worker.log", Stores(bare_settings)
    stores.seed_items(ITEMS)
    first = publish_events(bare_settings, 50)
    with Role("worker", bare_settings, log) as one, Role("worker", bare_settings, log) as two:
        wait_until(
            lambda: sorted(len(beat["partitions"]) for beat in worker_status(stores)) == [2, 2], "both have some", log
        )
        published = publish_events(bare_settings, EVENTS, start=50, earlier=first)
        one.process.kill()
        wait_until(lambda: stores.done("worker", published.ends), "everything is done", log)
        assert two.stop() == 0
    check_state(stores, published)
    check_lists(bare_settings, published)


@pytest.mark.services
@pytest.mark.slow
def test_a_worker_that_waits_for_redis_still_stops_when_told_to(
    bare_settings: Settings, own_redis: Any, tmp_path: Path
) -> None:
    settings = bare_settings.model_copy(update=own_redis.settings())
    log, stores = tmp_path / "worker.log", Stores(settings)
    stores.seed_items(ITEMS)
    with Role("worker", settings, log) as worker:
        first = publish_events(settings, 50)
        wait_until(lambda: stores.done("worker", first.ends), "the first events are done", log)
        os.kill(own_redis.child.pid, signal.SIGSTOP)
        published = publish_events(settings, 50, start=50, earlier=first)
        wait_until(lambda: "worker's batch waits" in log.read_text(), "a batch waits for Redis", log)
        assert worker.stop() == 0
    os.kill(own_redis.child.pid, signal.SIGCONT)
    with Role("worker", settings, log) as worker:
        wait_until(lambda: stores.done("worker", published.ends), "everything is done", log)
        assert worker.stop() == 0
    check_state(stores, published)
