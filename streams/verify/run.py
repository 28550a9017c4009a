"""Recomputes state from the event log and compares it with Redis, while both may change.

The log is read once up to where workers and keeper both are. From there each part of Redis is read together with its
watermarks, the recomputation moved to exactly these, and both compared; so it does not matter who is ahead of whom.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from millrace.kernel.settings import Settings
from millrace.stores.event_log import IMPORT_PARTITION, EventLog, LoggedEvent
from millrace.stores.redis.redis_statistics import FORGOTTEN_SCALAR, KEEPER_ROLE
from millrace.stores.redis.redis_users import WORKER_ROLE
from millrace.stores.redis.stores import Stores
from millrace.streams.replay import (
    Coverage,
    ItemIndexes,
    LogReplay,
    Progress,
    StatisticsReplay,
    UserReplay,
    advance,
    begin,
)
from millrace.streams.verify.comparisons import (
    CompareItems,
    ComparePages,
    ComparePopularity,
    CompareTails,
    CompareTotals,
    CompareUsers,
    Comparison,
    Key,
)
from millrace.streams.verify.differences import Difference, Verification
from millrace.streams.verify.quiet import wait_until_quiet
from millrace.streams.verify.side import Side, marks_of
from millrace.streams.verify.statistics import Order

# Differences are checked again for this long: a record may be on its way into the log.
PATIENCE_S = 5.0
_PAUSE_S = 0.2


async def verify(
    log: EventLog,
    stores: Stores,
    settings: Settings,
    *,
    wait_s: float = 0.0,
    patience_s: float = PATIENCE_S,
    on_progress: Progress = lambda done, total: None,
) -> Verification:
    """Compare users, tails, item pages, popularity and totals with the event log; writes nothing.

    The list last shown to a user is not in the log. Genre profiles, moving averages and the like are computed from the
    history whenever they are needed: equal histories have equal ones.

    Args:
        log: The event log.
        stores: Open stores.
        settings: Names, policy and sizes.
        wait_s: Longest wait for the roles to handle everything logged; then compare anyway.
        patience_s: How long to check differences again.
        on_progress: Called with the number of events read and their total.

    Raises:
        TransientError: Redis or the log does not answer.
    """
    started = time.perf_counter()
    if wait_s > 0.0:
        await wait_until_quiet(log, stores.users, settings.topics.events, wait_s)
    run = _Run(log, stores, settings, patience_s)
    replay = await run.recompute(on_progress)
    return await run.compare(replay, started)


class _Run:
    """One verification under way."""

    def __init__(self, log: EventLog, stores: Stores, settings: Settings, patience_s: float) -> None:
        self._log = log
        self._stores = stores
        self._settings = settings
        self._patience_s = patience_s
        self._topic = settings.topics.events
        self._indexes = ItemIndexes(stores.catalogue, register=False)
        self._differences: list[Difference] = []
        self._undecided: list[Difference] = []
        self._forgotten = 0
        self._coverage = Coverage(log, stores.serving)

    async def recompute(self, on_progress: Progress) -> LogReplay:
        """Recompute up to where both roles are."""
        worker, keeper = await self._marks()
        until = {each: min(worker.get(each, -1), keeper.get(each, -1)) for each in worker.keys() | keeper.keys()}
        until[IMPORT_PARTITION] = self._log.end().get(IMPORT_PARTITION, -1)
        replay = LogReplay(self._settings.event_policy, self._settings.neighbours_per_item)
        total, seen = self._log.count(), 0

        def count(page: Sequence[LoggedEvent]) -> None:
            nonlocal seen
            seen += len(page)
            on_progress(seen, max(total, seen))

        self._forgotten = await begin(self._log, replay, self._indexes)
        await advance(self._log, replay, self._indexes, until, count)
        return replay

    async def compare(self, replay: LogReplay, started: float) -> Verification:
        """Compare everything, and return what was found."""
        stores, order = self._stores, await self._order()
        names = await self._item_names()
        users, statistics = replay.split()
        worker: Side[UserReplay] = self._side(WORKER_ROLE, users)
        keeper: Side[StatisticsReplay] = self._side(KEEPER_ROLE, statistics)
        of_users = CompareUsers(worker, stores.users)
        of_popularity = ComparePopularity(keeper, stores.statistics, names, order)
        items = CompareItems(self._log, stores.catalogue, self._indexes, self._settings.register_unknown_items)
        await self._settle(items, [])
        await self._settle(of_users, [worker])
        await self._settle(CompareTotals(keeper, stores.statistics, order), [keeper])
        await self._settle(of_popularity, [keeper])
        await self._settle(ComparePages(keeper, stores.statistics, names, order), [keeper])
        await self._settle(CompareTails(keeper, stores.statistics), [keeper])
        return Verification(
            events=replay.events + users.events,
            users=of_users.number,
            items=len(names),
            compared_up_to={WORKER_ROLE: worker.up_to, KEEPER_ROLE: keeper.up_to},
            log_end=self._log.end(),
            differences=tuple(self._differences),
            undecided=tuple(self._undecided),
            displacement_events=of_popularity.displacement_events,
            exact=order.exact,
            forgotten_events=order.forgotten_events,
            seconds=time.perf_counter() - started,
        )

    async def _order(self) -> Order:
        """Return what is known of how the keeper learned."""
        included = int((await self._stores.statistics.scalars()).get(FORGOTTEN_SCALAR, 0))
        one_partition = len(self._log.end().keys() - {IMPORT_PARTITION}) <= 1
        return Order(one_partition, max(self._forgotten - included, 0))

    def _side(self, role: str, replay: Any) -> Side[Any]:
        return Side(role, self._topic, self._stores.users, self._log, replay, self._indexes, self._coverage)

    async def _settle(self, comparison: Comparison[Key], sides: Sequence[Side[Any]]) -> None:
        """Compare, and look again at what differs as long as that may change."""
        deadline = time.monotonic() + self._patience_s
        before, found = await self._moving(), await _compare(comparison, await comparison.keys(), sides)
        while found and time.monotonic() < deadline:
            await asyncio.sleep(_PAUSE_S)
            now = await self._moving()
            found = await _compare(comparison, list(found), sides)
            if now == before and _covered(sides):
                break
            before = now
        to = self._differences if _covered(sides) else self._undecided
        for differences in found.values():
            to.extend(differences)

    async def _moving(self) -> Any:
        """Return what a comparison depends on and others change."""
        return self._log.end(), await self._marks()

    async def _marks(self) -> list[dict[int, int]]:
        return [await marks_of(self._stores.users, role, self._topic) for role in (WORKER_ROLE, KEEPER_ROLE)]

    async def _item_names(self) -> dict[int, str]:
        indexes = list(range(1, await self._stores.catalogue.count() + 1))
        ids = await self._stores.catalogue.item_ids(indexes)
        return {index: item_id for index, item_id in zip(indexes, ids, strict=True) if item_id is not None}


async def _compare(
    comparison: Comparison[Key], keys: Sequence[Key], sides: Sequence[Side[Any]]
) -> dict[Key, list[Difference]]:
    for side in sides:
        side.covered = True
    return await comparison.compare(keys)


def _covered(sides: Sequence[Side[Any]]) -> bool:
    return all(side.covered for side in sides)
