"""Faust's Kafka transport, changed in six places.

- The consumer resumes where the state store says, not at Kafka's committed offset, which may lag behind the state or
  run ahead of it.
- The longest wait of a fetch is configurable; Faust has 1.5 s built in, and the embedded broker answers only then.
- An error in the consumer group is taken note of, so that the member joins again.
- A static member that ends in order leaves the group, so that its partitions move at once; one that dies does not, and
  keeps them for its successor until the session ends.
- A thread that does not come to its end, waiting for a broker's goodbye, holds up neither event loop nor process.
- A failed offset commit is logged instead of ending the process. The main topic does not need it; another one, as that
  of the items, is read again from the last commit that succeeded, which its records allow.
"""

import asyncio
import logging
from collections.abc import Mapping
from time import monotonic
from typing import Any

from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.drivers import aiokafka as driver
from mode import Service
from mode.threads import WorkerThread

from millrace.runtime.resume import Resume

logger = logging.getLogger(__name__)

_GROUP_ERRORS_S = 0.5
_THREAD_PATIENCE_S = 1.0


class LeavingThread(WorkerThread):  # type: ignore[misc]
    """A thread that may be left behind: its claims are fenced, and Kafka evicts a member that is silent."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.daemon = True

    def stop(self) -> None:
        """Wait for its end, but not for long: this blocks the event loop."""
        if not self.is_stopped.wait(_THREAD_PATIENCE_S):
            logger.warning("The thread that talks to Kafka does not end; leaving it behind.")


class ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """The thread that talks to Kafka."""

    Worker = LeavingThread

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Read when the consumer starts and makes its fetcher.
        consumer._fetch_max_wait_ms = self.app.fetch_wait_ms
        return consumer

    @Service.task  # type: ignore[untyped-decorator]
    async def _take_group_errors(self) -> None:
        """Let aiokafka's group member go on after an error.

        It reports an error to whoever fetches next and waits for that before it joins the group again. Faust fetches in
        another way, and without partitions not at all: the member would wait for ever, and the process look alive.
        """
        while not self.should_stop:
            await self.sleep(_GROUP_ERRORS_S)
            coordinator = getattr(self._consumer, "_coordinator", None)
            if coordinator is None or self.should_stop:
                continue
            try:
                coordinator.check_errors()
            except KafkaError as error:
                if coordinator._coordination_task.done():
                    raise
                logger.warning("The consumer group reports an error (%s); joining again.", error)

    async def on_thread_stop(self) -> None:
        """Leave the group, then stop."""
        coordinator = getattr(self._consumer, "_coordinator", None)
        if coordinator is not None:
            # aiokafka sends no goodbye under this name.
            coordinator._group_instance_id = None
        await super().on_thread_stop()

    async def _commit(self, offsets: Mapping[Any, int]) -> bool:
        assigned = self.assignment()
        mine = {tp: offset for tp, offset in offsets.items() if tp in assigned}
        wanted = {TopicPartition(tp.topic, tp.partition): OffsetAndMetadata(offset, "") for tp, offset in mine.items()}
        try:
            await self._ensure_consumer().commit(wanted)
        except KafkaError as error:
            logger.warning("Kafka did not take the offsets (%s); going on, they are committed again.", error)
            return False
        # Faust reports partitions without a commit for minutes as errors.
        self.tp_last_committed_at.update(dict.fromkeys(mine, monotonic()))
        return True

    async def seek_others_to_committed(self, partitions: list[Any]) -> Mapping[Any, int]:
        """Resume other topics the usual way."""
        wanted = [TopicPartition(tp.topic, tp.partition) for tp in partitions]
        committed: Mapping[Any, int] = await self.call_thread(self._ensure_consumer().seek_to_committed, *wanted)
        return committed


class Consumer(driver.Consumer):  # type: ignore[misc]
    """A consumer that resumes its main topic at the state store's watermark."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.app.resume.bind(self)

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def seek_to_committed(self) -> Mapping[Any, int]:
        """Seek all assigned partitions to where work goes on; called after every assignment."""
        resume: Resume = self.app.resume
        offsets: dict[Any, int] = {}
        others = [tp for tp in self.assignment() if tp.topic != resume.topic]
        if others:
            offsets.update(await self._thread.seek_others_to_committed(others))
        # Faust calls this from two tasks, one of them perhaps in the middle of a rebalance. The generation changes
        # after the assignment: read first, it is never newer than the partitions that go with it.
        generation = self.app.consumer_generation_id
        own = sorted(tp.partition for tp in self.assignment() if tp.topic == resume.topic)
        positions = await resume.on_assigned(own, generation)
        offsets.update({self._new_topicpartition(resume.topic, p): offset for p, offset in positions.items()})
        return offsets

    async def seek_partitions(self, positions: Mapping[int, int]) -> None:
        """Seek partitions of the main topic and wait until it is done."""
        topic = self.app.resume.topic
        await self.seek_wait({self._new_topicpartition(topic, p): offset for p, offset in positions.items()})
        for partition, offset in positions.items():
            self._read_offset[self._new_topicpartition(topic, partition)] = offset or None

    def end(self, partition: int) -> int | None:
        """Return the end of a partition of the main topic as last heard."""
        tp = self._new_topicpartition(self.app.resume.topic, partition)
        if tp not in self.assignment():
            return None
        end: int | None = self.highwater(tp)
        return end

    def partition_count(self) -> int | None:
        """Return how many partitions the main topic has, if known."""
        count: int | None = self.topic_partitions(self.app.resume.topic)
        return count

    async def bounds(self, partitions: list[int]) -> dict[int, tuple[int, int]]:
        """Return the first offset and the end of partitions of the main topic."""
        tps = [self._new_topicpartition(self.app.resume.topic, p) for p in partitions]
        first, end = await asyncio.gather(self.earliest_offsets(*tps), self.highwaters(*tps))
        return {tp.partition: (first[tp], end[tp]) for tp in tps}


class Transport(driver.Transport):  # type: ignore[misc]
    """The transport with the consumer above."""

    Consumer = Consumer
