"""Stores of a test's own on the session's Redis server."""

from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from millrace.config import Settings
from streams.store.stores import Stores, open_stores


@pytest.fixture(scope="session")
def store_port(redis_server: str) -> int:
    port = urlsplit(redis_server).port
    assert port
    return port


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
