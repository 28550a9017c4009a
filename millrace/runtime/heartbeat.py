"""The heartbeat of a role: its status in Redis, where `millrace status` reads it."""

import logging
import os
import socket
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Protocol

from millrace.kernel.errors import MillraceError
from millrace.kernel.keys import Keys
from millrace.kernel.settings import Settings
from millrace.runtime.loop_thread import LoopThread
from millrace.runtime.retry import keep_doing
from millrace.stores.redis.connect import connect
from millrace.stores.redis.redis_serving import RedisServingStore

logger = logging.getLogger(__name__)

INTERVAL_S = 1.0
# A process that misses a few beats (a long collection, a busy machine) is not gone yet.
TIME_TO_LIVE_S = 5.0

Status = Mapping[str, object]


class HeartbeatStore(Protocol):
    """The part of `ServingStore` that a heartbeat needs."""

    async def heartbeat(self, role: str, instance: str, status: Status, ttl_s: float) -> None:
        """Publish a process's status."""
        ...


async def beat(store: HeartbeatStore, role: str, status: Callable[[], Status]) -> None:
    """Publish the status every second until cancelled; Redis being away is logged once and waited out.

    Args:
        store: Where it is published.
        role: As in `millrace status`: `worker`, `retrainer`.
        status: Returns the current status.
    """
    instance = f"{socket.gethostname()}-{os.getpid()}"

    async def once() -> None:
        await store.heartbeat(role, instance, status(), TIME_TO_LIVE_S)

    await keep_doing(once, INTERVAL_S, f"Publishing the heartbeat of the {role}")


class Heartbeat:
    """Publishes a status every second from a thread of its own, inside a `with` block.

    Args:
        settings: Where Redis is.
        role: As in `millrace status`: `log-writer`.
        status: Returns the current status; called in the thread.
    """

    def __init__(self, settings: Settings, role: str, status: Callable[[], Status]) -> None:
        self._settings = settings
        self._role = role
        self._status = status
        self._thread = LoopThread(f"{role}-heartbeat")

    def __enter__(self) -> "Heartbeat":
        """Start."""
        self._thread.start()
        self._thread.submit(self._beat())
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        """Stop."""
        self._thread.stop()

    async def _beat(self) -> None:
        try:
            redis = connect(self._settings)
        except MillraceError as error:
            logger.warning("Publishing the heartbeat of the %s failed: %s", self._role, error)
            return
        try:
            await beat(RedisServingStore(redis, Keys.of(self._settings)), self._role, self._status)
        finally:
            await redis.aclose()
