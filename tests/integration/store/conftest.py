"""A Redis server for the store's tests alone: they kill its connections, fill its memory and stop it."""

from collections.abc import AsyncIterator, Callable, Iterator
from uuid import uuid4

import pytest
from own_redis import running_redis

from millrace.config import Settings
from streams.store.stores import Stores, open_stores


@pytest.fixture(scope="session")
def store_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with running_redis(tmp_path_factory.mktemp("redis")) as (_, port):
        yield port


@pytest.fixture
def new_settings(store_port: int) -> Callable[[], Settings]:
    """Settings with a prefix of their own: an empty store on the shared server."""

    def make() -> Settings:
        return Settings(redis_url=f"redis://127.0.0.1:{store_port}/0", redis_prefix=f"test-{uuid4().hex}:")

    return make


@pytest.fixture
def settings(new_settings: Callable[[], Settings]) -> Settings:
    return new_settings()


@pytest.fixture
async def stores(settings: Settings) -> AsyncIterator[Stores]:
    async with open_stores(settings) as opened:
        yield opened
