"""The keeper's work between Kafka and Redis: claim, load, learn, flush; no Faust inside."""

import logging
import time
from collections.abc import Mapping, Sequence
from uuid import uuid4

from millrace.kernel.contracts import EventPolicy
from millrace.kernel.user_state import ResolvedEvent
from millrace.runtime.claims import Claim, PartitionGate
from millrace.runtime.crash import CrashPoint, never
from millrace.runtime.records import Decoded, SourceRecord, decode
from millrace.runtime.retry import Retry
from millrace.runtime.step_times import StepTimes
from millrace.stores.redis.protocols import StatisticsStore
from millrace.stores.redis.readable import readable_statistics
from millrace.stores.redis.values import FencedError, StatisticsFlush
from millrace.streams.catalogue_view import CatalogueView
from millrace.streams.keeper.learner import Lesson, StatisticsLearner
from millrace.streams.statistics import ItemStatistics
from millrace.streams.statistics.popularity import CHUNK_ITEMS

logger = logging.getLogger(__name__)

_PAGES_PER_READ = 256
# A flush may take this share of the keeper's time: when flushes get long, they get rarer.
_FLUSH_SHARE = 0.2
# But not rarer than this, however slow Redis was once.
_LONGEST_INTERVAL_S = 10.0


class Keeper:
    """Learns the item statistics from the events, exactly once.

    Args:
        policy: What `decode_event` accepts.
        store: Where pages, tails and watermarks are written, in one transaction.
        items: Resolves item ids.
        gate: The claims the partitions are held under.
        neighbours: Neighbours kept per item.
        flush_ms: How often to write.
        crash: Crash points for the recovery tests.
    """

    def __init__(
        self,
        policy: EventPolicy,
        store: StatisticsStore,
        items: CatalogueView,
        gate: PartitionGate,
        neighbours: int,
        flush_ms: int,
        crash: CrashPoint = never,
    ) -> None:
        self._policy = policy
        self._store = store
        self._items = items
        self._gate = gate
        self._neighbours = neighbours
        self._flush_s = flush_ms / 1000
        self._crash = crash
        self._owner = ""
        self._flush_due = time.monotonic() + self._flush_s
        self.learner = StatisticsLearner(ItemStatistics(neighbours), {}, 0)
        self.times = StepTimes()
        self.learned = 0
        self._retry = Retry("statistics keeper")

    @property
    def waiting_for(self) -> str | None:
        """What the batch or flush in hand waits for."""
        return self._retry.waiting_for

    async def claim(self, partitions: Sequence[int]) -> Mapping[int, Claim]:
        """Fence older keepers and load what has been written; what was learned since then is learned again.

        Raises:
            TransientError: Redis is away; try again.
            FatalError: What has been written cannot be read.
        """
        owner = uuid4().hex
        watermarks = await self._store.claim(partitions, owner)
        learner = await self._load(watermarks)
        # Both at once: under the new token a flush of the old learner would be accepted, on top of what is loaded here.
        self._owner, self.learner = owner, learner
        return {partition: Claim(owner, offset, offset) for partition, offset in watermarks.items()}

    async def process(self, records: Sequence[SourceRecord]) -> None:
        """Learn a batch; waits while Redis is away, and drops the batch if the partitions are lost meanwhile."""
        learner = self.learner
        self._crash("decode")
        with self.times.measure("decode"):
            batch = [decode(record, self._policy) for record in records]
        lessons = await self._retry.until_done(lambda: self._read(learner, batch))
        self._learn(learner, records, lessons)

    async def flush_if_due(self) -> bool:
        """Write what has been learned, if it is time to; returns whether everything learned is written."""
        if time.monotonic() < self._flush_due:
            return False
        started = time.monotonic()
        lost_s = await self.flush()
        took_s = time.monotonic() - started - lost_s
        interval_s = min(max(self._flush_s, took_s / _FLUSH_SHARE), max(self._flush_s, _LONGEST_INTERVAL_S))
        self._flush_due = time.monotonic() + interval_s
        return True

    @property
    def flush_due_in_s(self) -> float:
        """Seconds until the next flush is due."""
        return max(self._flush_due - time.monotonic(), 0.0)

    async def flush(self) -> float:
        """Write what has been learned in one transaction; waits while Redis is away.

        Returns:
            The seconds lost to a Redis that did not answer.
        """
        learner, owner = self.learner, self._owner
        flush = learner.take_flush()
        if flush is None:
            return 0.0
        self._crash("flush")
        with self.times.measure("flush"):
            lost_s = await self._write(learner, owner, flush)
        self._crash("flushed")
        learner.forget_oldest()
        return lost_s

    async def _write(self, learner: StatisticsLearner, owner: str, flush: StatisticsFlush) -> float:
        """Try until it is written or another keeper has taken over; returns the seconds before the last attempt."""
        began = time.monotonic()
        lost_s = 0.0

        async def attempt() -> None:
            nonlocal lost_s
            lost_s = time.monotonic() - began
            if learner is not self.learner:
                return
            try:
                await self._store.flush(owner, flush)
            except FencedError as error:
                logger.warning("%s What was learned since the last flush is learned again.", error)
                for partition in self._gate.partitions:
                    self._gate.close(partition, owner)
            else:
                for partition, offset in flush.watermarks.items():
                    self._gate.advance(partition, owner, state=offset, done=offset)

        await self._retry.until_done(attempt)
        return lost_s

    async def _read(self, learner: StatisticsLearner, batch: Sequence[Decoded]) -> list[Lesson]:
        """Resolve items and load the tails of users; nothing once another claim has replaced the learner."""
        if learner is not self.learner:
            return []
        with self.times.measure("read"):
            lessons = await self._lessons(batch)
            await self._load_tails(learner, lessons)
            return lessons

    async def _lessons(self, batch: Sequence[Decoded]) -> list[Lesson]:
        """Resolve items; an event whose item is and stays unknown is no lesson."""
        indexes = await self._items.resolve([item.event.item_id for item in batch if item.event is not None])
        return [
            Lesson(
                item.record.partition,
                item.record.offset,
                ResolvedEvent.of(event, indexes[event.item_id], self._policy),
            )
            for item in batch
            if (event := item.event) is not None and event.item_id in indexes
        ]

    async def _load_tails(self, learner: StatisticsLearner, lessons: Sequence[Lesson]) -> None:
        unknown = learner.unknown(lesson.event.user_id for lesson in lessons)
        if unknown:
            tails = dict(zip(unknown, await self._store.tails(unknown), strict=True))
            with readable_statistics():
                learner.load_tails(tails)

    def _learn(self, learner: StatisticsLearner, records: Sequence[SourceRecord], lessons: Sequence[Lesson]) -> None:
        if learner is not self.learner:
            return  # another claim came while reading: these records come again
        self._crash("learn")
        with self.times.measure("learn"):
            self.learned += learner.learn(lessons, {record.partition: record.offset for record in records})

    async def _load(self, watermarks: Mapping[int, int]) -> StatisticsLearner:
        """Read everything that has been written."""
        await self._items.refresh()
        statistics = ItemStatistics(self._neighbours)
        scalars = await self._store.scalars()
        highest = self._items.catalogue.max_index
        popularity = await self._store.popularity(highest // CHUNK_ITEMS + 1)
        with readable_statistics():
            for chunk, data in enumerate(popularity):
                statistics.load_popularity_chunk(chunk, data)
            statistics.load_scalars(scalars)
        statistics.ensure(highest + 1)
        for start in range(1, highest + 1, _PAGES_PER_READ):
            items = range(start, min(start + _PAGES_PER_READ, highest + 1))
            pages = await self._store.pages(items)
            with readable_statistics():
                for item, page in zip(items, pages, strict=True):
                    if page is not None:
                        statistics.load_page(item, page)
        statistics.take_dirty()
        logger.info("The statistics of %s events and %d items are loaded.", scalars.get("clock", 0), highest)
        return StatisticsLearner(statistics, watermarks, int(scalars.get("flush", 0)))
