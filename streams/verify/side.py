"""One role's part of Redis, and the recomputation that follows it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from millrace.kernel.errors import TransientError
from millrace.stores.event_log import IMPORT_PARTITION, EventLog
from millrace.stores.redis.values import Watermark
from millrace.streams.replay import Coverage, ItemIndexes, Recomputation, advance

_ATTEMPTS = 200
_PAUSE_S = 0.005

# Partition -> last offset whose change is applied.
Marks = dict[int, int]
_Value = TypeVar("_Value")
ReplayT = TypeVar("ReplayT", bound=Recomputation)


class WatermarkReader(Protocol):
    """The part of a store that tells how far a role is."""

    async def watermarks(self, role: str, topic: str) -> dict[int, Watermark]:
        """Return the watermarks of every partition a role has handled."""
        ...


async def marks_of(store: WatermarkReader, role: str, topic: str) -> Marks:
    """Return the last offset that a role has applied of each partition."""
    return {partition: mark.state for partition, mark in (await store.watermarks(role, topic)).items()}


class Side(Generic[ReplayT]):
    """Reads a role's state together with its watermarks, and recomputes the log up to these.

    Args:
        role: `worker` or `statistics`.
        topic: Full name of the events topic.
        store: Where the watermarks are.
        log: The event log.
        replay: What is recomputed; moved forward only.
        indexes: Of the items.
        coverage: Knows how far the log reaches.

    Attributes:
        up_to: Watermarks of what was read last.
        covered: Whether the log reached as far in every read since this was last set to true.
    """

    def __init__(
        self,
        role: str,
        topic: str,
        store: WatermarkReader,
        log: EventLog,
        replay: ReplayT,
        indexes: ItemIndexes,
        coverage: Coverage,
    ) -> None:
        self.replay = replay
        self.up_to: Marks = {}
        self.covered = True
        self._coverage = coverage
        self._role = role
        self._topic = topic
        self._store = store
        self._log = log
        self._indexes = indexes

    async def read(self, read: Callable[[], Awaitable[_Value]]) -> _Value:
        """Read something, and move the replay to the watermarks it belongs to, as far as the log reaches.

        A commit writes state and watermark in one step, so what was read between two equal looks at the watermarks
        belongs to them.

        Raises:
            TransientError: They move all the time, or Redis or the log does not answer.
        """
        before = await self._marks()
        for _ in range(_ATTEMPTS):
            value = await read()
            after = await self._marks()
            if before == after:
                await self._move(after)
                return value
            before = after
            await asyncio.sleep(_PAUSE_S)
        raise TransientError(
            f"The {self._role} role writes too often to be read in between; verify at a calmer moment."
        )

    async def _marks(self) -> Marks:
        return await marks_of(self._store, self._role, self._topic)

    async def _move(self, marks: Marks) -> None:
        if any(mark < self.replay.position.get(each, -1) for each, mark in marks.items()):
            raise TransientError(
                f"A watermark of the {self._role} role went back, as after a restore or a rebuild; verify again."
            )
        # Asked before reading: what comes into the log afterwards is not read.
        self.covered &= await self._coverage.reaches(marks)
        ends = self._log.end()
        if any(min(mark, ends.get(each, -1)) > self.replay.position.get(each, -1) for each, mark in marks.items()):
            imported = ends.get(IMPORT_PARTITION, -1)
            await advance(self._log, self.replay, self._indexes, {**marks, IMPORT_PARTITION: imported})
        self.up_to = marks
