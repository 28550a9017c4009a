"""Writes a role's state as of its watermarks while the role runs.

Claim its partitions, recompute up to the watermarks, write; if the role has claimed its partitions back, try again.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from millrace.kernel.errors import ConfigurationError, TransientError
from millrace.stores.event_log import IMPORT_PARTITION, EventLog
from millrace.streams.rebuild.targets import Target
from millrace.streams.replay import Coverage, ItemIndexes, Recomputation, advance

_log = logging.getLogger(__name__)

# Roles claim their partitions back after a second: everything needed is read within this time.
_HOLD_S = 0.8
# Pause between two attempts, so that recommendations go on.
_PAUSE_S = 2.0
_ATTEMPTS = 100
_POLL_S = 0.05
_LOG_PATIENCE_S = 60.0

# Writes as of the watermarks, under the token; False if it was refused.
Write = Callable[[str, Mapping[int, int]], Awaitable[bool]]


class Claims(Protocol):
    """Claims the partitions of a role; see `millrace.stores.redis.replacing`."""

    role: str

    @property
    def partitions(self) -> Sequence[int]:
        """The partitions known without watermarks."""
        ...

    async def claim(self, partitions: Sequence[int], owner: str) -> dict[int, int]:
        """Fence the role; returns its last applied offset of each partition."""
        ...


class Fence:
    """One role's partitions.

    Args:
        claims: Claims the partitions.
        marks: Returns the role's last applied offset of each partition.
        target: Offsets to write as of.
        log: The event log.
        replay: State to write; moved forward only.
        indexes: Dense indexes of the items.
        coverage: Tells whether the log has caught up.
    """

    def __init__(
        self,
        claims: Claims,
        marks: Callable[[], Awaitable[dict[int, int]]],
        target: Target,
        log: EventLog,
        replay: Recomputation,
        indexes: ItemIndexes,
        coverage: Coverage,
    ) -> None:
        self._claims = claims
        self._marks = marks
        self._target = target
        self._log = log
        self._replay = replay
        self._indexes = indexes
        self._coverage = coverage

    async def write(self, write: Write) -> None:
        """Call `write` under a claim, with the replay at its watermarks, until it is not refused.

        Raises:
            ConfigurationError: The log does not reach as far as the role, and nobody writes it.
            TransientError: The role was faster each time, or Redis or the log does not answer.
        """
        for _ in range(_ATTEMPTS):
            await self._prepare()
            owner = f"rebuild-{uuid.uuid4().hex}"
            held = await self._claims.claim(await self._partitions(), owner)
            if await self._follow(held, _HOLD_S) and await write(owner, held):
                return
            _log.info("The %s role has claimed its partitions back; trying again.", self._claims.role)
            await asyncio.sleep(_PAUSE_S)
        raise TransientError(
            f"The {self._claims.role} role was faster {_ATTEMPTS} times; call this again at a calmer moment."
        )

    async def _partitions(self) -> list[int]:
        """Return every partition that may be written to."""
        return sorted(self._target.until.keys() | (await self._marks()).keys() | set(self._claims.partitions))

    async def _prepare(self) -> None:
        """Catch up with log and role before the role is fenced."""
        marks = await self._marks()
        deadline = time.monotonic() + _LOG_PATIENCE_S
        while not await self._follow(marks, 0.0):
            if time.monotonic() > deadline:
                raise ConfigurationError(
                    f"The event log ends at {self._log.end()} and the {self._claims.role} role is at {marks}; start "
                    "`millrace log-writer`, or stop the role to go on without what is not logged."
                )
            await asyncio.sleep(_POLL_S)

    async def _follow(self, marks: Mapping[int, int], patience_s: float) -> bool:
        """Move the replay to watermarks; returns False if the log does not get there in time."""
        goals = {each: self._target.of(each, mark) for each, mark in marks.items()}
        deadline = time.monotonic() + patience_s
        while True:
            # Before reading: events logged afterwards are not read.
            reaches = await self._coverage.reaches(goals)
            imported = self._log.end().get(IMPORT_PARTITION, -1)
            await advance(self._log, self._replay, self._indexes, {**goals, IMPORT_PARTITION: imported})
            if reaches:
                return True
            if time.monotonic() >= deadline:
                return False
            await asyncio.sleep(_POLL_S)
