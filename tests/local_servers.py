"""Real Kafka and Cassandra for tests, started once per session where Java 17 is there and the jars can be had.

tests/conftest.py makes them known everywhere. As with the other servers a test is skipped, loudly, where they cannot
run; with MILLRACE_REQUIRE_SERVICES=1 it fails instead.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from millrace.apps.stacks.service import Service, wait_ready
from millrace.kernel.errors import FatalError
from millrace.kernel.settings import Settings

if TYPE_CHECKING:
    from millrace.apps.stacks.redis_cluster import RedisCluster

REQUIRE = "MILLRACE_REQUIRE_SERVICES"
# A JVM starts in seconds; beside everything else a test machine does it may take many.
READY_DEADLINE_S = 180.0
# Compiling for speed costs more than it brings to servers that live for a minute.
JVM_OPTIONS = ("-XX:TieredStopAtLevel=1",)


def started(start: Callable[[], Any], what: str) -> Any:
    """Start servers; a failure skips the test or, where services are required, fails it."""
    try:
        return start()
    except FatalError as error:
        if os.environ.get(REQUIRE) == "1":
            pytest.fail(f"{what} is required ({REQUIRE}=1) and could not start: {error}", pytrace=False)
        pytest.skip(f"NOT TESTED, {what} could not start: {error}")


def _run(services: list[Service], what: str) -> None:
    def start() -> None:
        for service in services:
            service.start()
        wait_ready(services, READY_DEADLINE_S)

    started(start, what)


@contextmanager
def running_redis_cluster(folder: Path, ready_s: float) -> Iterator["RedisCluster"]:
    """Run a Redis Cluster of six nodes, up within `ready_s` seconds, for the length of a block."""
    from millrace.apps.stacks.redis_cluster import RedisCluster

    cluster = RedisCluster(folder, folder / "data")

    def start() -> None:
        cluster.prepare()
        for node in cluster.nodes:
            node.start()
        wait_ready(cluster.nodes, ready_s)
        cluster.form()

    try:
        started(start, "a Redis Cluster")
        yield cluster
    finally:
        for node in cluster.nodes:
            node.stop()


@pytest.fixture(scope="session")
def local_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the bootstrap address of a real Kafka broker; it creates no topic by itself."""
    from millrace.apps.stacks.kafka_server import KafkaCluster

    folder = tmp_path_factory.mktemp("kafka")
    cluster = KafkaCluster(folder, folder / "data", jvm_options=JVM_OPTIONS)
    try:
        _run([*cluster.brokers], "Kafka")
        yield cluster.bootstrap
    finally:
        for broker in cluster.brokers:
            broker.stop()


@pytest.fixture(scope="session")
def cassandra(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of an event log in a real Cassandra, with its tables."""
    from millrace.apps.stacks.cassandra_server import CassandraServer
    from millrace.stores.event_log import create_schema

    folder = tmp_path_factory.mktemp("cassandra")
    server = CassandraServer(folder, folder / "data", jvm_options=JVM_OPTIONS)
    try:
        _run([server], "Cassandra")
        url = str(server.settings()["event_log"])
        create_schema(Settings(event_log=url))
        yield url
    finally:
        server.stop()
