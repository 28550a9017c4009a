"""The `millrace statistics` process: a thin Faust app around the keeper."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from millrace.kernel.keys import Keys
from millrace.kernel.settings import Settings
from millrace.runtime import crash
from millrace.runtime.claims import PartitionGate
from millrace.runtime.intake import Intake
from millrace.stores.redis.connect import connect
from millrace.stores.redis.redis_catalogue import RedisCatalogueStore
from millrace.stores.redis.redis_statistics import KEEPER_ROLE, RedisStatisticsStore
from millrace.streams.catalogue_view import CatalogueView
from millrace.streams.faust_role import FaustRole, run_role
from millrace.streams.keeper.keeper import Keeper
from millrace.streams.ranking.warm_up import warm_up_learning

_BATCH_EVENTS = 256
_INTAKE_EVENTS = 1024
# Statistics may be some milliseconds late: asking the broker less often saves a tenth of a core.
_LEAST_FETCH_WAIT_MS = 20


class KeeperProcess(FaustRole):
    """Wires the keeper to Kafka and Redis.

    Args:
        settings: Addresses and names.
    """

    def __init__(self, settings: Settings) -> None:
        redis, gate, keys, topic = connect(settings), PartitionGate(), Keys.of(settings), settings.topics.events
        self._keeper = Keeper(
            settings.event_policy,
            RedisStatisticsStore(redis, keys, topic),
            CatalogueView(RedisCatalogueStore(redis, keys), settings.register_unknown_items),
            gate,
            settings.neighbours_per_item,
            settings.statistics_flush_ms,
            crash.from_environment(),
        )
        wait_ms = max(settings.kafka_fetch_wait_ms, _LEAST_FETCH_WAIT_MS)
        super().__init__(settings, KEEPER_ROLE, redis, self._keeper, gate, whole_topic=True, fetch_wait_ms=wait_ms)
        self._intake = Intake(_INTAKE_EVENTS)
        self.subscribe(topic, self._intake)
        self._unacknowledged: list[Any] = []

    async def prepare(self) -> None:
        """Compile the kernels."""
        await asyncio.to_thread(warm_up_learning, self.settings.neighbours_per_item)

    def loops(self) -> Sequence[Any]:
        """Return the one loop that learns."""
        return (self._learn(),)

    async def _learn(self) -> None:
        while not self._intake.closed:
            events = await self._intake.take(_BATCH_EVENTS, timeout_s=self._keeper.flush_due_in_s)
            if records := self.accepted(events):
                await self._keeper.process(records)
                self.handled(len(records))
            self._unacknowledged += events
            if await self._keeper.flush_if_due():
                self._acknowledge()

    def _acknowledge(self) -> None:
        for event in self._unacknowledged:
            event.ack()
        self._unacknowledged.clear()

    async def finish(self, loops: Sequence["asyncio.Task[None]"]) -> None:
        """Complete the batch in hand and write what has been learned."""
        self._intake.close()
        await asyncio.gather(*loops)
        await self._keeper.flush()
        self._acknowledge()

    async def close(self) -> None:
        """Nothing to release."""

    def status(self) -> Mapping[str, object]:
        """Return how much has been learned."""
        learner = self._keeper.learner
        return {
            "events_learned": self._keeper.learned,
            "clock": learner.statistics.clock,
            "tails": learner.tails,
            "waiting_for": self._keeper.waiting_for,
            "step_ms": self._keeper.times.summary(),
        }


def run_keeper(settings: Settings) -> None:
    """Run the keeper in this process until SIGTERM or SIGINT."""
    run_role(lambda: KeeperProcess(settings))
