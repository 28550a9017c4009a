"""All of Redis from the event log: users, item indexes and metadata, statistics, watermarks.

The events go through the very functions that workers and keeper use, in the order in which these applied them, so the
outcome is what they would have written. Lists last shown are not in the log: users are graded on the list of new
users until their next event.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, takewhile
from typing import TypeVar

from consumers.event_log import IMPORT_PARTITION, EventLog
from millrace.config import Settings
from millrace.errors import ConfigurationError
from millrace.keys import Keys
from model.item_ids import newest_item_ids
from streams.replay import LogReplay, Progress
from streams.statistics.tail import encode_tail
from streams.store.connect import Client
from streams.store.protocols import StatisticsFlush, Watermark
from streams.store.redis_catalogue import RedisCatalogueStore
from streams.store.redis_serving import RedisServingStore
from streams.store.redis_statistics import KEEPER_ROLE, RedisStatisticsStore
from streams.store.redis_users import WORKER_ROLE, RedisUserStore

_log = logging.getLogger(__name__)

# Pages and tails of one flush: some megabytes, tens of milliseconds for the server.
_VALUES_PER_FLUSH = 1000

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """What a rebuild did."""

    events: int
    users: int
    items: int
    watermarks: Mapping[int, int]
    seconds: float


@dataclass(slots=True)
class _Rebuild:
    """One rebuild under way."""

    log: EventLog
    settings: Settings
    users: RedisUserStore
    catalogue: RedisCatalogueStore
    statistics: RedisStatisticsStore
    indexes: dict[str, int] = field(default_factory=dict)

    async def load_catalogue(self) -> None:
        """Write the items; those that have an index keep it, the others get theirs in the order of the log.

        If Redis has lost all of them, the newest model version tells which item was which row.
        """
        ids = newest_item_ids(self.settings.registry_dir)
        # A row without an item cannot be given away, so the indexes behind it could not be given back.
        known = list(takewhile(lambda item_id: item_id is not None, ids))
        if known:
            await self.catalogue.assign([item_id for item_id in known if item_id is not None])
        for items in self.log.items():
            found = await self.catalogue.upsert(items)
            self.indexes.update(zip((item.item_id for item in items), found, strict=True))

    async def replay(self, on_progress: Progress) -> LogReplay:
        """Apply every event of the log."""
        replay = LogReplay(self.settings.event_policy, self.settings.neighbours_per_item)
        total, seen = self.log.count(), 0
        for page in self.log.read({}):
            await self._register([logged.event.item_id for logged in page])
            for logged in page:
                replay.apply(logged, self.indexes.get(logged.event.item_id))
            seen += len(page)
            on_progress(seen, max(total, seen))
        return replay

    async def _register(self, item_ids: Sequence[str]) -> None:
        """Give items that only events name an index, where the installation does so."""
        if self.settings.register_unknown_items:
            missing = [item_id for item_id in dict.fromkeys(item_ids) if item_id not in self.indexes]
            if missing:
                self.indexes.update(zip(missing, await self.catalogue.assign(missing), strict=True))

    async def clear(self) -> None:
        """Remove users and statistics; partitions count as not started until everything is written again."""
        for role in (WORKER_ROLE, KEEPER_ROLE):
            marks = await self.users.watermarks(role, self.settings.topics.events)
            await self._set_watermarks(role, dict.fromkeys(marks, -1))
        await self.users.clear()
        await self.statistics.clear()

    async def write(self, replay: LogReplay, flush_number: int) -> None:
        """Write users, statistics, and last the watermarks that make them count."""
        await self.users.replace_users(replay.users.values())
        for flush in _flushes(replay, flush_number):
            await self.statistics.flush("rebuild", flush)
        streamed = {each: last for each, last in replay.position.items() if each != IMPORT_PARTITION}
        for role in (WORKER_ROLE, KEEPER_ROLE):
            await self._set_watermarks(role, streamed)

    async def _set_watermarks(self, role: str, offsets: Mapping[int, int]) -> None:
        marks = {partition: Watermark(offset, offset) for partition, offset in offsets.items()}
        await self.users.set_watermarks(role, self.settings.topics.events, marks)


async def rebuild(
    log: EventLog, redis: Client, settings: Settings, on_progress: Progress = lambda done, total: None
) -> RebuildReport:
    """Replace what Redis holds about users, statistics and progress by what the log says.

    Item indexes that Redis still has are kept, since every model version counts on them. Model versions, the serving
    plan and live counts stay. Workers and keeper resume right behind the end of the log.

    Args:
        log: The event log; not written to.
        redis: A client of the running event loop.
        settings: Names, policy and sizes.
        on_progress: Called with the number of events read and their total.

    Raises:
        ConfigurationError: Workers or a keeper are running.
        TransientError: Redis or the log does not answer; start again, nothing counts before the end.
    """
    started = time.perf_counter()
    keys, topic = Keys.of(settings), settings.topics.events
    await _check_nobody_writes(RedisServingStore(redis, keys))
    work = _Rebuild(
        log,
        settings,
        RedisUserStore(redis, keys, topic),
        RedisCatalogueStore(redis, keys),
        RedisStatisticsStore(redis, keys, topic),
    )
    await work.load_catalogue()
    replay = await work.replay(on_progress)
    # Readers recognise new statistics by the number of the flush: it goes on from the one before.
    flush_number = int((await work.statistics.scalars()).get("flush", 0)) + 1
    await work.clear()
    await work.write(replay, flush_number)
    seconds = time.perf_counter() - started
    _log.info("Rebuilt %d users from %d events in %.1f s.", len(replay.users), replay.events, seconds)
    return RebuildReport(replay.events, len(replay.users), len(work.indexes), dict(replay.position), seconds)


async def _check_nobody_writes(serving: RedisServingStore) -> None:
    writers = {str(beat["role"]) for beat in await serving.heartbeats()} & {WORKER_ROLE, KEEPER_ROLE}
    if writers:
        raise ConfigurationError(
            f"Redis cannot be rebuilt while {' and '.join(sorted(writers))} processes write to it; stop them first."
        )


def _flushes(replay: LogReplay, number: int) -> Iterator[StatisticsFlush]:
    """Yield everything the keeper would have written, in pieces, the scalars last."""
    statistics = replay.statistics
    pages, chunks = statistics.take_dirty()
    for part in _parts(pages):
        yield StatisticsFlush({item: statistics.page(item) for item in part}, {}, {}, {}, {})
    for users in _parts(list(replay.users.values())):
        yield StatisticsFlush({}, {}, {user.user_id: encode_tail(user) for user in users}, {}, {})
    popularity = {chunk: statistics.popularity_chunk(chunk) for chunk in chunks}
    yield StatisticsFlush({}, popularity, {}, {**statistics.scalars(), "flush": str(number)}, {})


def _parts(values: Sequence[_Value]) -> Iterator[list[_Value]]:
    iterator = iter(values)
    while part := list(islice(iterator, _VALUES_PER_FLUSH)):
        yield part
