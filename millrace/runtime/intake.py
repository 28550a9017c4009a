"""The bounded queue between a thin Faust agent and a batch loop."""

import asyncio
from collections import deque
from typing import Any

from millrace.runtime.records import SourceRecord


class Intake:
    """Holds what an agent has read until the batch loop takes whatever has arrived.

    Args:
        limit: Events held at most; the agent waits beyond it.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._events: deque[Any] = deque()
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._events)

    async def put(self, event: Any) -> None:
        """Add an event; waits while the queue is full."""
        while len(self._events) >= self._limit:
            self._room.clear()
            await self._room.wait()
        self._events.append(event)
        self._arrived.set()

    @property
    def closed(self) -> bool:
        """Whether the intake has been closed."""
        return self._closed

    async def take(self, most: int, timeout_s: float | None = None) -> list[Any]:
        """Wait for the first event and return all that are there, up to `most`; nothing once closed or timed out."""
        if not self._events and not self._closed:
            self._arrived.clear()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._arrived.wait()
            except TimeoutError:
                return []
        if self._closed:
            return []
        taken = [self._events.popleft() for _ in range(min(most, len(self._events)))]
        self._room.set()
        return taken

    def close(self) -> None:
        """Hand out nothing more; the next owner of the partitions reads what is left."""
        self._closed = True
        self._arrived.set()


def source_record(event: Any) -> SourceRecord:
    """Return the record of a Faust event."""
    message = event.message
    return SourceRecord(
        message.topic,
        message.partition,
        message.offset,
        round(1000 * message.timestamp),
        message.key,
        message.value,
    )
