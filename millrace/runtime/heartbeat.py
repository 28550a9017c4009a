"""Tells `millrace status` that a process without an event loop of its own is alive, and what it is doing."""

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping
from types import TracebackType

from millrace.kernel.errors import MillraceError
from millrace.kernel.keys import Keys
from millrace.kernel.settings import Settings
from millrace.stores.redis.connect import connected
from millrace.stores.redis.redis_serving import RedisServingStore

_log = logging.getLogger(__name__)

INTERVAL_S = 1.0
# A process that misses a few beats (a long collection, a busy machine) is not gone yet.
TIME_TO_LIVE_S = 5.0


class Heartbeat:
    """Publishes a status every second from a thread of its own, for the length of a `with` block.

    Redis being away is said once and then waited out: it must not stop the work.

    Args:
        settings: Where Redis is.
        role: As in `millrace status`: `log-writer`, `retrainer`.
        status: Returns the current status; called in the thread.
    """

    def __init__(self, settings: Settings, role: str, status: Callable[[], Mapping[str, object]]) -> None:
        self._settings = settings
        self._role = role
        self._status = status
        self._instance = f"{socket.gethostname()}-{os.getpid()}"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{role}-heartbeat", daemon=True)

    def __enter__(self) -> "Heartbeat":
        """Start."""
        self._thread.start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        """Stop; a beat under way ends within Redis's own timeouts."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        said = ""
        while not self._stop.is_set():
            try:
                asyncio.run(self._beat())
            except MillraceError as error:
                if said != str(error):
                    _log.warning("No heartbeat: %s", error)
                said = str(error)
                self._stop.wait(INTERVAL_S)

    async def _beat(self) -> None:
        async with connected(self._settings) as redis:
            store = RedisServingStore(redis, Keys.of(self._settings))
            while not self._stop.is_set():
                await store.heartbeat(self._role, self._instance, self._status(), TIME_TO_LIVE_S)
                # Only this thread's loop is blocked, and nothing else runs in it.
                self._stop.wait(INTERVAL_S)
