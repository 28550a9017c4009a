"""The `millrace statistics` process: a thin Faust app around the keeper."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from millrace.kernel.keys import Keys
from millrace.kernel.settings import Settings
from millrace.stores.redis.connect import connect
from millrace.stores.redis.layout import TopicLayout
from millrace.stores.redis.redis_catalogue import RedisCatalogueStore
from millrace.stores.redis.redis_serving import RedisServingStore
from millrace.stores.redis.redis_statistics import KEEPER_ROLE, RedisStatisticsStore
from millrace.streams.faust_app import (
    App,
    make_app,
    run_app,
    run_in_loop,
    stop_on_signals,
    unless_stopped,
    wait_for_broker,
)
from millrace.streams.faust_claims import PartitionGate
from millrace.streams.faust_health import HealthServer, Progress, beat, instance_name
from millrace.streams.faust_resume import Resume
from millrace.streams.keeper.keeper import Keeper
from millrace.streams.ranking.warm_up import warm_up_learning
from millrace.streams.worker import crash
from millrace.streams.worker.catalogue_view import CatalogueView
from millrace.streams.worker.intake import Intake, source_record

logger = logging.getLogger(__name__)

_BATCH_EVENTS = 256
_INTAKE_EVENTS = 1024
# Statistics may be some milliseconds late: asking the broker less often saves a tenth of a core.
_LEAST_FETCH_WAIT_MS = 20


class KeeperProcess:
    """Wires the keeper to Kafka and Redis and runs it until it is told to stop.

    Args:
        settings: Addresses and names.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._redis = connect(settings)
        keys, topic = Keys.of(settings), settings.topics.events
        self._serving = RedisServingStore(self._redis, keys)
        self._gate = PartitionGate()
        self._items = CatalogueView(RedisCatalogueStore(self._redis, keys), settings.register_unknown_items)
        self._keeper = Keeper(
            settings.event_policy,
            RedisStatisticsStore(self._redis, keys, topic),
            self._items,
            self._gate,
            settings.neighbours_per_item,
            settings.statistics_flush_ms,
            crash.from_environment(),
        )
        layout = TopicLayout(self._redis, keys, topic)
        self._resume = Resume(KEEPER_ROLE, topic, self._keeper, self._gate, whole_topic=True, topic_check=layout)
        self._intake = Intake(_INTAKE_EVENTS)
        self._app = self._make_app()
        self._progress = Progress(self._lag)
        self._health = HealthServer(self._look, settings.health_host, settings.health_port)
        self._unacknowledged: list[Any] = []
        self._port = 0
        self._waiting_for: str | None = "starting"

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT.

        Raises:
            MillraceError: The keeper cannot go on; the text says why and what to do.
        """
        stop = stop_on_signals()
        self._port = await self._health.start()
        tasks = [asyncio.create_task(beat(self._serving, KEEPER_ROLE, instance_name(), self._status))]
        try:
            await unless_stopped(stop, self._prepare())
            if not stop.is_set():
                loop = asyncio.create_task(self._loop())
                tasks += [asyncio.create_task(self._resume.keep_claimed()), loop]
                await run_app(self._app, stop, lambda: self._finish(loop), loop)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._health.stop()
            await self._redis.aclose()

    async def _prepare(self) -> None:
        await asyncio.to_thread(warm_up_learning, self._settings.neighbours_per_item)
        await wait_for_broker(self._settings.kafka_bootstrap, self._wait_for)

    def _make_app(self) -> App:
        wait_ms = max(self._settings.kafka_fetch_wait_ms, _LEAST_FETCH_WAIT_MS)
        app = make_app(self._settings, KEEPER_ROLE, self._resume, wait_ms)
        topic = app.topic(self._settings.topics.events, key_type=bytes, value_type=bytes)

        @app.agent(topic, name="events")  # type: ignore[untyped-decorator]
        async def take_events(stream: Any) -> None:
            async for event in stream.noack().events():
                await self._intake.put(event)

        return app

    async def _loop(self) -> None:
        while not self._intake.closed:
            events = await self._intake.take(_BATCH_EVENTS, timeout_s=self._keeper.flush_due_in_s)
            records = [record for event in events if self._accepts(record := source_record(event), event)]
            if records:
                await self._keeper.process(records)
                self._progress.advanced()
            self._unacknowledged += events
            if await self._keeper.flush_if_due():
                self._acknowledge()

    def _accepts(self, record: Any, event: Any) -> bool:
        return self._gate.accept(record.partition, record.offset, event.message.generation_id)

    def _acknowledge(self) -> None:
        for event in self._unacknowledged:
            event.ack()
        self._unacknowledged.clear()

    async def _finish(self, loop: "asyncio.Task[None]") -> None:
        self._intake.close()
        await loop
        await self._keeper.flush()
        self._acknowledge()

    def _wait_for(self, what: str | None) -> None:
        self._waiting_for = what

    def _lag(self) -> int:
        return self._resume.lag()

    def _look(self) -> tuple[bool, Mapping[str, object]]:
        healthy, _ = self._progress.look()
        return healthy, self._status()

    def _status(self) -> dict[str, object]:
        learner = self._keeper.learner
        return {
            "port": self._port,
            "events_per_s": self._keeper.rate.peek(),
            "events_handled": self._keeper.rate.total,
            "events_learned": self._keeper.learned,
            "clock": learner.statistics.clock,
            "tails": learner.tails,
            "lag": self._lag(),
            "partitions": self._gate.partitions,
            "waiting_for": self._waiting_for or self._resume.waiting_for or self._keeper.waiting_for,
            "step_ms": self._keeper.times.summary(),
        }


def run_keeper(settings: Settings) -> None:
    """Run the keeper in this process until it is told to stop."""

    async def main() -> None:
        await KeeperProcess(settings).run()

    run_in_loop(main())
