"""What the keeper holds in memory: the statistics, the users' tails, and how far it has learned. No Faust inside."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from millrace.kernel.user_state import ResolvedEvent, UserState, apply_event
from millrace.stores.redis.values import StatisticsFlush
from millrace.streams.statistics import ItemStatistics
from millrace.streams.statistics.tail import decode_tail, encode_tail, trim

# Tails in memory: about 3 KB each; others are read from Redis when their user acts again.
TAILS_HELD = 50_000


@dataclass(frozen=True, slots=True)
class Lesson:
    """A valid event with its place in the topic."""

    partition: int
    offset: int
    event: ResolvedEvent


class StatisticsLearner:
    """Learns events in the order of each partition, each once, and says what to write.

    Args:
        statistics: Filled with what has been written so far.
        watermarks: Partition -> last offset learned.
        flushes: Number of flushes so far.
        tails_held: Most tails kept in memory.
    """

    def __init__(
        self,
        statistics: ItemStatistics,
        watermarks: Mapping[int, int],
        flushes: int,
        tails_held: int = TAILS_HELD,
    ) -> None:
        self.statistics = statistics
        self.watermarks = dict(watermarks)
        self._flushed = dict(watermarks)
        self._flushes = flushes
        self._tails_held = tails_held
        self._tails: OrderedDict[str, UserState] = OrderedDict()
        self._dirty_tails: set[str] = set()
        self._moved: set[int] = set()

    def unknown(self, user_ids: Iterable[str]) -> list[str]:
        """Return the users whose tail is not in memory."""
        return [user_id for user_id in dict.fromkeys(user_ids) if user_id not in self._tails]

    def load_tails(self, tails: Mapping[str, bytes | None]) -> None:
        """Take over tails as stored.

        Raises:
            ValueError: The bytes are not a tail.
        """
        for user_id, data in tails.items():
            if user_id not in self._tails:
                self._tails[user_id] = decode_tail(user_id, data)

    def learn(self, lessons: Sequence[Lesson], ends: Mapping[int, int]) -> int:
        """Learn a batch whose users' tails are all in memory; returns how many events were new.

        Args:
            lessons: Valid events, offsets growing within a partition.
            ends: Last offset of the batch by partition, invalid records included.
        """
        learned = 0
        for lesson in lessons:
            if lesson.offset > self.watermarks.get(lesson.partition, -1):
                learned += self._learn(lesson.event)
        for partition, end in ends.items():
            if end > self.watermarks.get(partition, -1):
                self.watermarks[partition] = end
                self._moved.add(partition)
        return learned

    def take_flush(self) -> StatisticsFlush | None:
        """Return everything that has changed since the last call, or None if nothing has."""
        if not self._moved:
            return None
        pages, chunks = self.statistics.take_dirty()
        self._flushes += 1
        flush = StatisticsFlush(
            pages={item: self.statistics.page(item) for item in pages},
            popularity={chunk: self.statistics.popularity_chunk(chunk) for chunk in chunks},
            tails={user_id: encode_tail(self._tails[user_id]) for user_id in self._dirty_tails},
            scalars={**self.statistics.scalars(), "flush": str(self._flushes)},
            watermarks={partition: self.watermarks[partition] for partition in self._moved},
            expected=dict(self._flushed),
        )
        self._flushed.update(flush.watermarks)
        self._dirty_tails.clear()
        self._moved.clear()
        return flush

    def forget_oldest(self) -> None:
        """Drop the tails that were used longest ago and are written; call after a flush has succeeded."""
        excess = len(self._tails) - self._tails_held
        if excess > 0:
            clean = [user_id for user_id in self._tails if user_id not in self._dirty_tails]
            for user_id in clean[:excess]:
                del self._tails[user_id]

    @property
    def tails(self) -> int:
        """How many tails are in memory."""
        return len(self._tails)

    def _learn(self, event: ResolvedEvent) -> int:
        before = self._tails[event.user_id]
        self._tails.move_to_end(event.user_id)
        applied = apply_event(before, event)
        if applied.duplicate:
            return 0
        self.statistics.update(before, event.item, event.value, event.ts_ms, event.weight)
        # A tail remembers no touched items, so apply_event adds this one: trim takes it out again.
        self._tails[event.user_id] = trim(applied.state)
        self._dirty_tails.add(event.user_id)
        return 1
