"""A synchronous look into Redis for the demo, which is one plain loop."""

import asyncio
from collections.abc import Coroutine, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from millrace.kernel.keys import Keys
from millrace.kernel.settings import Settings
from millrace.stores.redis.connect import connect
from millrace.stores.redis.redis_serving import RedisServingStore
from millrace.stores.redis.redis_users import RedisUserStore
from millrace.stores.redis.values import ServingPlan

_Result = TypeVar("_Result")


class StoreView:
    """Reads counters, live quality, the serving plan and heartbeats; a context manager.

    Args:
        settings: Where Redis is.
    """

    def __init__(self, settings: Settings) -> None:
        self._runner = asyncio.Runner()
        self._redis = connect(settings)
        self._keys = Keys.of(settings)
        self._store = RedisServingStore(self._redis, self._keys)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._redis.aclose())
        self._runner.close()

    def counters(self) -> dict[str, int]:
        """Return all counters."""
        return self._run(self._store.counters())

    def live(self) -> dict[tuple[str, str], dict[str, float]]:
        """Return the live counts by (version, arm)."""
        return self._run(self._store.live())

    def plan(self) -> ServingPlan:
        """Return which version serves whom."""
        return self._run(self._store.plan())

    def heartbeat(self, role: str) -> Mapping[str, Any] | None:
        """Return the newest status of a role, or None if it has not been heard from."""
        return next((status for status in self._run(self._store.heartbeats()) if status["role"] == role), None)

    def heartbeats(self) -> list[dict[str, Any]]:
        """Return the status of every process heard from lately."""
        return self._run(self._store.heartbeats())

    def done(self, role: str, topic: str) -> int:
        """Return how many records of a topic a role has fully handled, over all partitions."""
        marks = self._run(RedisUserStore(self._redis, self._keys, topic).watermarks(role, topic))
        return sum(mark.done + 1 for mark in marks.values())

    def _run(self, coroutine: Coroutine[Any, Any, _Result]) -> _Result:
        return self._runner.run(coroutine)
