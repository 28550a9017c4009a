"""Real servers for tests that need them: started once per session, on loopback, ended with it.

A test takes `settings`: addresses of the running servers, with a random prefix for its topics, groups and Redis keys,
so tests do not see one another's data. Where a server cannot run the test is skipped, loudly; with
MILLRACE_REQUIRE_SERVICES=1 it fails instead.
"""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from local_servers import cassandra, local_kafka, running_redis_cluster, started  # noqa: F401 - fixtures

from millrace.kernel.settings import Settings


@pytest.fixture(scope="session", autouse=True)
def characters_known() -> None:
    """Have Hypothesis make its table of characters.

    It does so once for each checkout, at the first text it draws, and takes over a second: more than its own check of
    how fast a test draws allows.
    """

    @hypothesis_settings(max_examples=1, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.text())
    def draw(_: str) -> None:
        pass

    draw()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of a Redis of its own, without Kafka and Triton."""
    from millrace.apps.stacks.redis_server import RedisServer
    from millrace.apps.stacks.service import wait_ready

    folder = tmp_path_factory.mktemp("redis")
    server = RedisServer(folder, folder)

    def start() -> None:
        server.start()
        wait_ready([server], timeout_s=10)

    try:
        started(start, "Redis")
        yield server.settings()["redis_url"]
    finally:
        server.stop()


@pytest.fixture(scope="session")
def redis_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of a Redis Cluster of six nodes."""
    with running_redis_cluster(tmp_path_factory.mktemp("redis-cluster"), ready_s=30) as cluster:
        yield cluster.url


@pytest.fixture(scope="session")
def kafka_broker() -> Iterator[str]:
    """Return the bootstrap address of an embedded Kafka of its own."""
    from millrace.apps.stacks.kafka_mock import MockKafka

    server = MockKafka()
    try:
        started(server.start, "the embedded Kafka")
        yield server.settings()["kafka_bootstrap"]
    finally:
        server.stop()


@pytest.fixture(scope="session")
def triton_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Return the gRPC address of a Triton of its own and the folder of its model repository."""
    from millrace.apps.stacks.service import wait_ready
    from millrace.apps.stacks.triton_server import TritonServer

    folder = tmp_path_factory.mktemp("triton")
    server = TritonServer(folder, folder, folder / "repository")

    def start() -> None:
        server.start()
        wait_ready([server], timeout_s=30)

    try:
        started(start, "Triton")
        yield server.settings()["triton_url"], folder / "repository"
    finally:
        server.stop()


@pytest.fixture(scope="session")
def embedded_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Return a running EmbeddedStack: Kafka, Redis and Triton."""
    from millrace.apps.stacks.embedded import EmbeddedStack

    stack = EmbeddedStack(tmp_path_factory.mktemp("stack"))
    try:
        started(stack.start, "the embedded stack")
        yield stack
    finally:
        stack.stop()


@pytest.fixture
def own_names(tmp_path: Path) -> dict[str, Any]:
    """Return a home folder and prefixes of topics, groups and Redis keys that no other test uses."""
    mark = uuid.uuid4().hex[:10]
    return {
        "home": tmp_path,
        "topic_prefix": f"t{mark}.",
        "group_prefix": f"t{mark}-",
        "redis_prefix": f"t{mark}:",
    }


@pytest.fixture
def own_settings(own_names: dict[str, Any]) -> Callable[..., Settings]:
    """Return a function that makes settings with names of this test's own; the caller adds the servers it takes."""

    def make(**values: Any) -> Settings:
        return Settings(**{**own_names, **values})

    return make


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Callable[[Settings], Settings]:
    """Return a function that puts settings into the environment, where the command line finds them."""

    def export(settings: Settings) -> Settings:
        for name, value in settings.environment().items():
            monkeypatch.setenv(name, value)
        return settings

    return export


@pytest.fixture
def kafka_settings(own_settings: Callable[..., Settings], kafka_broker: str) -> Settings:
    """Return settings of the embedded Kafka alone, which answers fetches at once and drops members soon."""
    return own_settings(kafka_bootstrap=kafka_broker, kafka_fetch_wait_ms=5, kafka_session_timeout_ms=2000)


@pytest.fixture
def settings(embedded_stack: Any, own_names: dict[str, Any]) -> Settings:
    """Return settings of the running stack, with names and an event log of this test's own."""
    event_log = f"sqlite:///{own_names['home'] / 'events.sqlite'}"
    return embedded_stack.settings.model_copy(update={**own_names, "event_log": event_log})
