"""Resuming a topic at the state store's watermark: after an assignment, and after a claim was lost."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from millrace.kernel.errors import ConfigurationError, FatalError, MillraceError
from millrace.runtime.claims import Claim, Claimer, PartitionGate
from millrace.runtime.retry import Retry

logger = logging.getLogger(__name__)

# Faust waits at most broker_request_timeout (90 s) for the seek after an assignment. If the store does not answer in
# this time, claiming goes on in the background; until then the gate drops all records.
_CLAIM_PATIENCE_S = 5.0
# Two owners that fence each other out must not do so in a tight loop.
_RECLAIM_PAUSE_S = 1.0
_SYNCHRONISE_S = 3.0


class PartitionReader(Protocol):
    """What resuming needs of the consumer."""

    async def seek_partitions(self, positions: Mapping[int, int]) -> None:
        """Seek and wait until it is done."""
        ...

    async def bounds(self, partitions: list[int]) -> dict[int, tuple[int, int]]:
        """Return the first offset and the end of each partition."""
        ...

    def end(self, partition: int) -> int | None:
        """Return the end of a partition as last heard, or None."""
        ...

    def partition_count(self) -> int | None:
        """Return how many partitions the topic has, if known."""
        ...


class TopicCheck(Protocol):
    """Decides how many partitions of a topic may be claimed."""

    async def usable(self, count: int) -> int:
        """Return how many of the topic's `count` partitions, from the first, may be claimed.

        Raises:
            MillraceError: None may be; a TransientError is tried again.
        """
        ...


def resume_position(topic: str, partition: int, done: int, first: int, end: int, role: str) -> int:
    """Return the offset to go on from.

    Args:
        topic: Topic name, for messages.
        partition: Partition, for messages.
        done: Last offset fully handled, -1 for none.
        first: First offset the partition still holds.
        end: Offset the next record will get.
        role: Whose watermark it is, for messages.

    Raises:
        FatalError: The watermark lies beyond the end: the topic was created anew.
    """
    position = done + 1
    if position > end:
        raise FatalError(
            f"The {role} has handled {topic} partition {partition} up to offset {done}, but the topic ends at {end}: "
            "it was created anew. Run `millrace rebuild --new-topic`: it keeps the log and starts over on the topic."
        )
    if position < first:
        if done >= 0:
            logger.error(
                "%s partition %d begins at offset %d, but %d was next: the topic's retention has removed %d records "
                "before they were handled. Going on there; `millrace rebuild` takes them from the event log.",
                topic,
                partition,
                first,
                position,
                first - position,
            )
        return first
    return position


class Resume:
    """Claims partitions and seeks to their watermarks.

    Args:
        role: `worker` or `statistics`, for messages.
        topic: The topic whose watermarks are kept in the state store.
        claimer: Takes partitions over in the state store.
        gate: Opened for each claimed partition.
        whole_topic: Claim all partitions together, and none unless all are assigned here: for a role that runs once
            and keeps one state for all of them, which every claim loads again.
        topic_check: Asked before anything is claimed.
        patience_s: A seek that raced with records on their way is repeated after this.
    """

    def __init__(
        self,
        role: str,
        topic: str,
        claimer: Claimer,
        gate: PartitionGate,
        whole_topic: bool = False,
        topic_check: TopicCheck | None = None,
        patience_s: float = _SYNCHRONISE_S,
    ) -> None:
        self._patience_s = patience_s
        self.role = role
        self._whole_topic = whole_topic
        self._topic_check = topic_check
        self.topic = topic
        self.gate = gate
        self._retry = Retry(f"{role}'s claiming of {topic}")
        self._not_claimed: str | None = None
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._claimer = claimer
        self._reader: PartitionReader | None = None
        self._assigned: list[int] = []
        self._generation = 0
        self._lock = asyncio.Lock()
        self._opened_at: dict[int, float] = {}
        # By partition, in this generation: an expected offset and the first record that came in its place; and those
        # that have been shown to hold nothing up to that record.
        self._met_instead: dict[int, tuple[int, int]] = {}
        self._empty: dict[int, tuple[int, int]] = {}

    @property
    def assigned(self) -> list[int]:
        """The partitions Kafka has given to this process."""
        return self._assigned

    @property
    def waiting_for(self) -> str | None:
        """Why partitions that are assigned are not claimed, if there are any."""
        return self._retry.waiting_for or self._not_claimed

    def lag(self) -> int:
        """Return how many records of the claimed partitions are not done yet."""
        if self._reader is None:
            return 0
        lag = 0
        for partition in self.gate.partitions:
            claim, end = self.gate.claim_of(partition), self._reader.end(partition)
            if claim is not None and end is not None:
                lag += max(end - claim.done - 1, 0)
        return lag

    def bind(self, reader: PartitionReader) -> None:
        """Give the consumer, which exists only once the app has been built."""
        self._reader = reader

    def raise_failure(self) -> None:
        """Raise the error that makes resuming impossible, if there is one."""
        if self.failure.done() and not self.failure.cancelled():
            self.failure.result()

    async def on_assigned(self, partitions: Sequence[int], generation: int) -> dict[int, int]:
        """Claim what was assigned and seek to it; returns the positions of those that could be claimed in time."""
        self._assigned = list(partitions)
        self._generation = generation
        # A consumer may begin every assignment at the same record, whatever lies before it.
        self._met_instead.clear()
        self._empty.clear()
        self.gate.keep_only(self._assigned)
        if not partitions:
            return {}
        try:
            async with asyncio.timeout(_CLAIM_PATIENCE_S):
                await self._open_missing(generation)
        except TimeoutError:
            logger.warning("The state store does not answer; partitions of %s are claimed when it does.", self.topic)
        except (FatalError, ConfigurationError) as error:
            self._fail(error)
        return {p: offset for p in self._assigned if (offset := self.gate.next_offset(p)) is not None}

    async def keep_claimed(self) -> None:
        """Claim again what was lost or could not be claimed; runs until cancelled."""
        while True:
            await asyncio.sleep(_RECLAIM_PAUSE_S)
            try:
                self._close_unsynchronised()
                await self._open_missing(self._generation)
            except (FatalError, ConfigurationError) as error:
                self._fail(error)
                return
            except Exception:
                logger.exception("Claiming partitions of %s failed; trying again.", self.topic)

    async def _open_missing(self, generation: int) -> None:
        """Claim the assigned partitions that are not open in this generation; waits while the store is away."""
        async with self._lock:
            missing = [p for p in self._assigned if not self.gate.is_open(p, generation)]
            if not missing or generation != self._generation or self._reader is None or not self._may_claim():
                return
            claims = await self._retry.until_done(lambda: self._claim(missing))
            bounds = await self._reader.bounds(list(claims))
            positions = {p: self._position(p, claims[p].done, *bounds[p]) for p in claims}
            if generation != self._generation:
                return  # there has been another assignment, which claims for itself
            for partition, position in positions.items():
                self.gate.open(partition, claims[partition], generation, position)
                self._opened_at[partition] = time.monotonic()
            try:
                await self._reader.seek_partitions(positions)
            except BaseException:
                # No longer assigned, or interrupted: a partition opened without a seek would wait for ever.
                for partition in positions:
                    self.gate.close(partition, claims[partition].owner)
                raise
            if positions:
                logger.info("Resuming %s at %s.", self.topic, positions)

    def _position(self, partition: int, done: int, first: int, end: int) -> int:
        """Return the offset to go on from, beyond what has been found to hold no record."""
        position = resume_position(self.topic, partition, done, first, end, role=self.role)
        empty, following = self._empty.get(partition, (-1, -1))
        return following if position == empty else position

    def _may_claim(self) -> bool:
        count = self._reader.partition_count() if self._reader is not None else None
        if not self._whole_topic or count is None or len(self._assigned) >= count:
            return True
        self._not_claimed = (
            f"Kafka: only {len(self._assigned)} of {count} partitions of {self.topic} are assigned here, another "
            f"`millrace {self.role}` is in the group and only one may run"
        )
        return False

    async def _claim(self, missing: list[int]) -> Mapping[int, Claim]:
        """Claim what is missing, and with it everything else that has to be claimed together."""
        partitions = list(self._assigned) if self._whole_topic else missing
        usable = await self._usable(partitions)
        claims: Mapping[int, Claim] = {}
        if set(usable) & set(missing):
            self._close_together(usable)
            claims = await self._claimer.claim(usable)
        self._report_unusable(sorted(set(partitions) - set(usable)))
        return claims

    def _close_together(self, partitions: list[int]) -> None:
        """Drop records until the state is loaded: they follow the state before it."""
        if self._whole_topic:
            for partition in partitions:
                self.gate.close(partition)

    async def _usable(self, partitions: list[int]) -> list[int]:
        count = self._reader.partition_count() if self._reader is not None else None
        if self._topic_check is None or not count:
            return partitions
        usable = await self._topic_check.usable(count)
        return [partition for partition in partitions if partition < usable]

    def _report_unusable(self, unusable: list[int]) -> None:
        before, self._not_claimed = self._not_claimed, None
        if unusable:
            self._not_claimed = (
                f"{self.topic} has grown: partitions {unusable} wait until everything else is done and `millrace "
                "repartition` has been run"
            )
            if self._not_claimed != before:
                logger.warning("%s.", self._not_claimed)

    def _close_unsynchronised(self) -> None:
        """Repeat a seek whose first record did not come although records have been dropped since.

        Either the seek raced with records on their way, which then never come again, or the offset holds no record:
        transactional producers end each transaction with such a one. Where one record comes first twice, a seek has
        been heeded, and nothing lies before that record.
        """
        for partition in self.gate.partitions:
            stale = time.monotonic() - self._opened_at.get(partition, 0.0) > self._patience_s
            expected, beyond = self.gate.next_offset(partition), self.gate.beyond(partition)
            if not stale or expected is None or beyond is None or self.gate.is_synchronised(partition):
                continue
            if self._met_instead.get(partition) == (expected, beyond):
                self._empty[partition] = (expected, beyond)
                logger.info(
                    "%s partition %d holds no record from %d to %d.", self.topic, partition, expected, beyond - 1
                )
            self._met_instead[partition] = (expected, beyond)
            self.gate.close(partition)

    def _fail(self, error: MillraceError) -> None:
        if not self.failure.done():
            self.failure.set_exception(error)
