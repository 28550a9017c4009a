"""Stores of a test's own on the session's Redis server, and on a Redis Cluster: the same tests for both."""

from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from millrace.kernel.settings import Settings
from millrace.stores.redis.stores import Stores, open_stores

# With three partitions Kafka puts the tests' user "u" into the first and "v" into the last.
PARTITIONS = 3


@pytest.fixture(params=["single", "cluster"])
def store_url(request: pytest.FixtureRequest) -> str:
    name = "redis_server" if request.param == "single" else "redis_cluster"
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture(scope="session")
def store_port(redis_server: str) -> int:
    port = urlsplit(redis_server).port
    assert port
    return port


@pytest.fixture
def new_settings(store_url: str) -> Callable[[], Settings]:
    """Settings with a prefix of their own: an empty store on the shared server."""

    def make() -> Settings:
        return Settings(redis_url=store_url, redis_prefix=f"test-{uuid4().hex}:", topic_partitions=PARTITIONS)

    return make


@pytest.fixture
def settings(new_settings: Callable[[], Settings]) -> Settings:
    return new_settings()


@pytest.fixture
async def stores(settings: Settings) -> AsyncIterator[Stores]:
    async with open_stores(settings) as opened:
        yield opened
