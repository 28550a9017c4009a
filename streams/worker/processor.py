"""What happens to a micro-batch when a step fails: wait, drop lost partitions, or find the record that breaks it."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence

from millrace.kernel.backoff import Backoff
from millrace.kernel.contracts import EventPolicy
from millrace.kernel.errors import MillraceError, TransientError
from millrace.kernel.topics import Topics
from millrace.runtime.claims import Claim, PartitionGate
from millrace.runtime.crash import CrashPoint, never
from millrace.runtime.records import Decoded, SourceRecord, decode, failed
from millrace.runtime.retry import Retry
from millrace.runtime.step_times import StepTimes
from millrace.stores.redis.values import FencedError
from millrace.streams.worker.dependencies import Dependencies
from millrace.streams.worker.overload import ListPolicy
from millrace.streams.worker.steps import BatchSteps

logger = logging.getLogger(__name__)

ROLE = "worker"
# Over 0.7 s: a dead letter is final, so the cause gets the time to pass.
_ATTEMPTS_ALONE = 3


class BatchProcessor:
    """Turns records into published lists: exactly once in the state, at least once on the topic.

    Args:
        policy: What `decode_event` accepts.
        topics: Topic names.
        outside: The services a batch touches.
        gate: The claims the partitions are held under.
        crash: Crash points for the recovery tests.
        list_policy: Which events of a backlog get no list; default: each gets one.
    """

    def __init__(
        self,
        policy: EventPolicy,
        topics: Topics,
        outside: Dependencies,
        gate: PartitionGate,
        crash: CrashPoint = never,
        list_policy: ListPolicy | None = None,
    ) -> None:
        self._policy = policy
        self._topics = topics
        self._users = outside.users
        self._gate = gate
        self._crash = crash
        self._steps = BatchSteps(policy, topics, outside, gate, crash, list_policy)
        self._retry = Retry("worker's batch")

    @property
    def waiting_for(self) -> str | None:
        """What the batch in hand waits for."""
        return self._retry.waiting_for

    @property
    def times(self) -> StepTimes:
        """How long each step takes."""
        return self._steps.times

    async def process(self, records: Sequence[SourceRecord], backlog: bool = False) -> None:
        """Handle a batch to the end; returns when every record is done or its partition has been lost.

        While an outside service is away this waits and tries again. A record that cannot be processed for an
        unforeseen reason is found by halving the batch and becomes a dead letter, once it has failed several times.

        Args:
            records: Of claimed partitions, offsets growing within a partition.
            backlog: More records wait than can be answered in time: lists may be left out, state never.

        Raises:
            FatalError: Only a person can resolve it.
        """
        self._crash("decode")
        with self.times.measure("decode"):
            batch = [decode(record, self._policy) for record in records]
        # A partition that is claimed again from here on is read again from its first record that is not done. No part
        # of this batch may be written under the new claim.
        owners = {partition: claim.owner for partition, claim in self._claims(batch).items()}
        for part in one_partition_per_user(batch):
            await self._process_or_halve(part, owners, backlog)

    async def _process_or_halve(self, batch: Sequence[Decoded], owners: Mapping[int, str], backlog: bool) -> None:
        try:
            await self._process_until_done(batch, owners, backlog)
        except MillraceError:
            raise
        except Exception:
            logger.exception("Processing %d records failed unexpectedly.", len(batch))
            if len(batch) == 1:
                await self._process_alone(batch[0], owners)
                return
            middle = len(batch) // 2
            await self._process_or_halve(batch[:middle], owners, backlog)
            await self._process_or_halve(batch[middle:], owners, backlog)

    async def _process_alone(self, suspect: Decoded, owners: Mapping[int, str]) -> None:
        """Try a record that failed alone a few more times before it becomes a dead letter."""
        backoff = Backoff()
        for _ in range(_ATTEMPTS_ALONE):
            await asyncio.sleep(backoff.next_s())
            try:
                await self._process_until_done([suspect], owners)
                return
            except MillraceError:
                raise
            except Exception as error:
                last = error
        logger.error("A record breaks its processing each time and becomes a dead letter (%r).", last)
        await self._process_until_done([failed(suspect.record, last)], owners)

    async def _process_until_done(
        self, batch: Sequence[Decoded], owners: Mapping[int, str], backlog: bool = False
    ) -> None:
        while batch := self._still_held(batch, owners):
            try:
                if self._retry.waiting_for:
                    await self._reread_watermarks(owners)
                await self._steps.run(batch, self._claims(batch), backlog)
                break
            except FencedError as error:
                logger.warning("%s It is read again by its owner.", error)
                self._drop(error.partitions or {item.record.partition for item in batch}, owners)
            except TransientError as error:
                await asyncio.sleep(self._retry.failed(error))
        self._retry.succeeded()

    def _claims(self, batch: Sequence[Decoded]) -> dict[int, Claim]:
        held = {partition: self._gate.claim_of(partition) for partition in {item.record.partition for item in batch}}
        return {partition: claim for partition, claim in held.items() if claim is not None}

    def _still_held(self, batch: Sequence[Decoded], owners: Mapping[int, str]) -> list[Decoded]:
        """Return the records whose partition is held under the very claim that the whole batch began with."""
        held = {p for p, claim in self._claims(batch).items() if owners.get(p) == claim.owner}
        return [item for item in batch if item.record.partition in held]

    def _drop(self, partitions: Iterable[int], owners: Mapping[int, str]) -> None:
        for partition in partitions:
            self._gate.close(partition, owners[partition])

    async def _reread_watermarks(self, owners: Mapping[int, str]) -> None:
        """Ask how far the state is: a commit whose answer was lost may have been applied."""
        marks = await self._users.watermarks(ROLE, self._topics.events)
        for partition, owner in owners.items():
            if mark := marks.get(partition):
                self._gate.advance(partition, owner, state=mark.state, done=mark.done)


def one_partition_per_user(batch: Sequence[Decoded]) -> list[list[Decoded]]:
    """Split a batch so that no user occurs in two partitions of one part.

    The record key is the user's id, so a user's events normally share a partition; only a producer that places
    records by itself can break that. Each partition is then handled on its own, since one commit writes whole users.
    """
    partition_of: dict[str, int] = {}
    clash = False
    for item in batch:
        if item.event is not None:
            partition = item.record.partition
            clash |= partition_of.setdefault(item.event.user_id, partition) != partition
    if not clash:
        return [list(batch)]
    partitions = dict.fromkeys(item.record.partition for item in batch)
    return [[item for item in batch if item.record.partition == partition] for partition in partitions]
