"""All of Redis from the event log: users, item indexes and metadata, statistics, watermarks.

The events go through the very functions that workers and keeper use, in the order in which these applied them, so the
outcome is what they would have written. Lists last shown are not in the log: those in Redis stay, and a user without
one is graded on the list of new users.

Workers and keeper may run. Everything is recomputed beside them, up to where they are; then users that differ and the
statistics are exchanged under claims of the partitions (`fence`), which hold a role up for a second or two at a time.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile

from millrace.kernel.errors import ConfigurationError, TransientError
from millrace.kernel.settings import Settings
from millrace.stores.event_log import IMPORT_PARTITION, EventLog
from millrace.stores.item_ids import newest_item_ids
from millrace.stores.redis.connect import Client
from millrace.stores.redis.redis_serving import RedisServingStore
from millrace.stores.redis.redis_statistics import KEEPER_ROLE
from millrace.stores.redis.redis_users import WORKER_ROLE
from millrace.stores.redis.replacing import StatisticsReplacement, UserReplacement
from millrace.stores.redis.stores import Stores, make_stores
from millrace.stores.redis.values import Watermark
from millrace.streams.rebuild.checkpoint import Checkpoint
from millrace.streams.rebuild.fence import Fence
from millrace.streams.rebuild.recompute import recompute
from millrace.streams.rebuild.statistics import put_statistics
from millrace.streams.rebuild.targets import NOT_BEGUN, Target, target_of
from millrace.streams.rebuild.users import put_users
from millrace.streams.replay import Coverage, ItemIndexes, LogReplay, Progress, Recomputation, UserReplay
from millrace.streams.verify.comparisons import CompareUsers
from millrace.streams.verify.side import Side, marks_of

_log = logging.getLogger(__name__)

_ROLES = (WORKER_ROLE, KEEPER_ROLE)
_CHECKPOINT_INTERVAL_S = 5.0


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """What a rebuild did.

    Args:
        events: Events that Redis now holds.
        users: Users.
        items: Items.
        watermarks: Offset up to which users were recomputed, by partition.
        seconds: How long it took.
        resumed_events: How many events a rebuild that was killed had applied before.
        replaced_users: How many users were written; the others were right already.
    """

    events: int
    users: int
    items: int
    watermarks: Mapping[int, int]
    seconds: float
    resumed_events: int = 0
    replaced_users: int = 0


async def rebuild(
    log: EventLog,
    redis: Client,
    settings: Settings,
    on_progress: Progress = lambda done, total: None,
    checkpoint_interval_s: float = _CHECKPOINT_INTERVAL_S,
) -> RebuildReport:
    """Replace what Redis holds about users and statistics by what the log says.

    Item indexes that Redis still has are kept, since every model version counts on them. Model versions, the serving
    plan and live counts stay. A role that runs keeps its watermarks, and so does one that has begun; any other resumes
    right behind the end of the log. After a kill the next call goes on from the last checkpoint.

    Args:
        log: The event log; not written to.
        redis: A client of the running event loop.
        settings: Names, policy and sizes.
        on_progress: Called with the number of events read and their total.
        checkpoint_interval_s: Shortest time between two checkpoints.

    Raises:
        ConfigurationError: The log does not reach as far as the running roles, and nobody writes it.
        TransientError: Redis or the log does not answer, or a role was started meanwhile; rebuild again.
    """
    started = time.perf_counter()
    run = _Rebuild(log, make_stores(redis, settings), settings)
    checkpoint = Checkpoint(settings, run.forgotten_events, checkpoint_interval_s)
    try:
        await run.prepare()
        replay, resumed = await recompute(log, run.indexes, settings, run.common(), checkpoint, on_progress)
        users, replaced = await run.put(replay)
        run.check_nobody_was_forgotten()
    except BaseException:
        checkpoint.close()
        raise
    checkpoint.remove()
    seconds = time.perf_counter() - started
    events = replay.events + users.events
    _log.info("Rebuilt %d users from %d events in %.1f s.", len(users.users), events, seconds)
    position = dict(users.position)
    return RebuildReport(events, len(users.users), len(run.indexes.known), position, seconds, resumed, replaced)


async def refuse_while_running(redis: Client, settings: Settings) -> None:
    """Make sure that no worker and no keeper is alive.

    Raises:
        ConfigurationError: One is.
    """
    if running := await _running(make_stores(redis, settings).serving):
        raise ConfigurationError(
            f"The topics cannot be started over while {' and '.join(sorted(running))} processes write; stop them first."
        )


async def _running(serving: RedisServingStore) -> set[str]:
    return {str(beat["role"]) for beat in await serving.heartbeats()} & set(_ROLES)


def _forgotten_events(log: EventLog) -> int:
    return sum(each.events for each in log.forgotten())


class _Rebuild:
    """One rebuild under way."""

    def __init__(self, log: EventLog, stores: Stores, settings: Settings) -> None:
        self.indexes = ItemIndexes(stores.catalogue, settings.register_unknown_items)
        self._log = log
        self._stores = stores
        self._settings = settings
        self._topic = settings.topics.events
        self._running: set[str] = set()
        self._targets: dict[str, Target] = {}
        self.forgotten_events = _forgotten_events(log)

    async def prepare(self) -> None:
        """Write the catalogue, and decide up to where users and statistics are recomputed."""
        await self._load_catalogue()
        self._running = await _running(self._stores.serving)
        ends = {each: end for each, end in self._log.end().items() if each != IMPORT_PARTITION}
        for role in _ROLES:
            marks = await marks_of(self._stores.users, role, self._topic)
            self._targets[role] = target_of(marks, ends, role in self._running)

    def common(self) -> dict[int, int]:
        """Return the offsets that both roles' parts include."""
        worker, keeper = (self._targets[role].until for role in _ROLES)
        partitions = worker.keys() | keeper.keys()
        return {each: min(worker.get(each, NOT_BEGUN), keeper.get(each, NOT_BEGUN)) for each in partitions}

    async def put(self, replay: LogReplay) -> tuple[UserReplay, int]:
        """Write users and statistics, and last the watermarks that make them count."""
        redis, keys, topic = self._stores.redis, self._stores.keys, self._topic
        users, statistics = replay.split()
        keeper_writes = StatisticsReplacement(redis, keys, topic)
        fence, store = self._fence(keeper_writes, statistics), self._stores.statistics
        await put_statistics(fence, statistics, keeper_writes, store, self.forgotten_events)
        worker_writes = UserReplacement(redis, keys, topic)
        fence, to_write = self._fence(worker_writes, users), await self._users_to_write(users)
        await put_users(fence, users, worker_writes, to_write)
        for role in _ROLES:
            await self._begin(role, self._targets[role].begins)
        return users, len(to_write)

    def check_nobody_was_forgotten(self) -> None:
        """Make sure that nobody was forgotten who has just been written.

        Raises:
            TransientError: Somebody may have been.
        """
        if _forgotten_events(self._log) != self.forgotten_events:
            raise TransientError("Somebody was forgotten while Redis was being rebuilt; rebuild again.")

    async def _users_to_write(self, users: UserReplay) -> list[str]:
        """Return everyone, or while workers run only those who differ: each one written holds the workers up."""
        if WORKER_ROLE not in self._running:
            return sorted(users.users.keys() | await self._stores.users.user_ids())
        store, coverage = self._stores.users, Coverage(self._log, self._stores.serving)
        side = Side(WORKER_ROLE, self._topic, store, self._log, users, self.indexes, coverage)
        comparison = CompareUsers(side, self._stores.users)
        return list(await comparison.compare(await comparison.keys()))

    def _fence(self, claims: UserReplacement | StatisticsReplacement, replay: Recomputation) -> Fence:
        role = claims.role

        async def marks() -> dict[int, int]:
            return await marks_of(self._stores.users, role, self._topic)

        coverage = Coverage(self._log, self._stores.serving)
        return Fence(claims, marks, self._targets[role], self._log, replay, self.indexes, coverage)

    async def _load_catalogue(self) -> None:
        """Write the items; those that have an index keep it, the others get theirs in the order of the log.

        If Redis has lost all of them, the newest model version tells which item was which row.
        """
        ids = newest_item_ids(self._settings.registry_dir)
        # A row without an item cannot be given away, so the indexes behind it could not be given back.
        known = list(takewhile(lambda item_id: item_id is not None, ids))
        if known:
            await self._stores.catalogue.assign([item_id for item_id in known if item_id is not None])
        for items in self._log.items():
            found = await self._stores.catalogue.upsert(items)
            self.indexes.known.update(zip((item.item_id for item in items), found, strict=True))

    async def _begin(self, role: str, offsets: Mapping[int, int]) -> None:
        if offsets:
            marks = {partition: Watermark(offset, offset) for partition, offset in offsets.items()}
            await self._stores.users.set_watermarks(role, self._topic, marks)
