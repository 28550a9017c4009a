"""The `millrace worker` process: wires batches to Faust, Redis and the scorer, and runs until it is told to stop."""

import asyncio
import gc
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from millrace.kernel.contracts import ActivityEvent
from millrace.kernel.errors import TransientError
from millrace.kernel.keys import Keys
from millrace.kernel.settings import Settings
from millrace.stores.redis.connect import connect
from millrace.stores.redis.layout import TopicLayout
from millrace.stores.redis.redis_catalogue import RedisCatalogueStore
from millrace.stores.redis.redis_serving import RedisServingStore
from millrace.stores.redis.redis_statistics import RedisStatisticsStore
from millrace.stores.redis.redis_users import RedisUserStore
from millrace.streams.faust_app import make_app, run_app, run_in_loop, stop_on_signals, unless_stopped, wait_for_broker
from millrace.streams.faust_claims import PartitionGate
from millrace.streams.faust_health import HealthServer, Progress, beat, instance_name
from millrace.streams.faust_resume import Resume
from millrace.streams.ranking import CONTEXT_NAMES, FEATURE_NAMES, CandidateStep, ListRules
from millrace.streams.ranking.warm_up import warm_up_lists
from millrace.streams.scoring.choose import make_scorer
from millrace.streams.statistics import ItemStatistics
from millrace.streams.worker import crash
from millrace.streams.worker.catalogue_view import CatalogueView
from millrace.streams.worker.claimer import WorkerClaimer
from millrace.streams.worker.exploration import ExplorationCache
from millrace.streams.worker.intake import Intake, source_record
from millrace.streams.worker.items import ItemsProcessor
from millrace.streams.worker.lists import OnlineLists
from millrace.streams.worker.models import ServingModels
from millrace.streams.worker.overload import ListPolicy
from millrace.streams.worker.pages import PageCache
from millrace.streams.worker.ports import MadeList
from millrace.streams.worker.processor import ROLE, BatchProcessor
from millrace.streams.worker.publisher import FaustPublisher
from millrace.streams.worker.records import SourceRecord, encode_recommendation
from millrace.streams.worker.steps import Ports
from millrace.streams.worker.timing import Rate

logger = logging.getLogger(__name__)

_COLD_LIST_S = 1.0
_ITEMS_PER_BATCH = 500
_RETRY_S = 0.5
# The intake holds this many batches.
_INTAKE_BATCHES = 4
# Under a backlog a batch is larger: the more of a user's events it holds, the fewer lists are needed, and what only
# changes state is cheap.
_BACKLOG_BATCHES = 4
# Shown as the user of the list that new users get.
_COLD_USER = "new user"


class WorkerProcess:
    """One worker.

    Args:
        settings: Addresses and names.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        keys, topics = Keys.of(settings), settings.topics
        self._redis = connect(settings)
        users = RedisUserStore(self._redis, keys, topics.events)
        catalogue_store = RedisCatalogueStore(self._redis, keys)
        self._serving = RedisServingStore(self._redis, keys)
        self._gate = PartitionGate()
        layout = TopicLayout(self._redis, keys, topics.events)
        self._resume = Resume(ROLE, topics.events, WorkerClaimer(users), self._gate, topic_check=layout)
        self._app = make_app(settings, ROLE, self._resume)
        publisher = FaustPublisher(self._app)
        self._items = CatalogueView(catalogue_store, settings.register_unknown_items)
        self._pages, self._lists = self._make_lists(RedisStatisticsStore(self._redis, keys, topics.events))
        self._list_policy = ListPolicy(settings.backlog_events, settings.list_max_age_ms)
        self._processor = BatchProcessor(
            settings.event_policy,
            topics,
            Ports(users, self._items, self._lists, publisher),
            self._gate,
            crash.from_environment(),
            self._list_policy,
        )
        self._items_processor = ItemsProcessor(
            settings.event_policy, topics, catalogue_store, publisher, self._items.refresh
        )
        self._events_intake = Intake(_INTAKE_BATCHES * settings.max_batch_events)
        self._items_intake = Intake(2 * _ITEMS_PER_BATCH)
        self._subscribe()
        self._progress = Progress(self._resume.lag)
        self._health = HealthServer(
            lambda: (self._progress.look()[0], self._status()), settings.health_host, settings.health_port
        )
        self._rate = Rate()
        self._batches = 0
        self._batch_size = 0
        self._catching_up = False
        self._port = 0
        self._waiting_for: str | None = "starting"

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT.

        Raises:
            MillraceError: The worker cannot go on; the text says why and what to do.
        """
        stop = stop_on_signals()
        self._port = await self._health.start()
        tasks = [asyncio.create_task(beat(self._serving, ROLE, instance_name(), self._status))]
        try:
            await unless_stopped(stop, self._prepare())
            if not stop.is_set():
                tasks += [asyncio.create_task(each) for each in self._background()]
                await self._serve(stop)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._lists.close()
            await self._scorer.close()
            await self._health.stop()
            await self._redis.aclose()

    def _make_lists(self, statistics_store: RedisStatisticsStore) -> tuple[PageCache, OnlineLists]:
        settings = self._settings
        statistics = ItemStatistics(settings.neighbours_per_item)
        step = CandidateStep(statistics, self._items.catalogue)
        pages = PageCache(statistics_store, statistics, lambda: self._items.catalogue.max_index, settings.page_ttl_ms)
        self._models = ServingModels(self._serving, FEATURE_NAMES, CONTEXT_NAMES)
        self._scorer = make_scorer(settings)
        self._rules = ListRules(settings.list_length, settings.diversity, settings.exploration_rate)
        self._exploration = ExplorationCache(self._serving, settings.page_ttl_ms)
        lists = OnlineLists(
            step,
            pages,
            self._models,
            self._scorer,
            self._rules,
            settings.scoring_deadline_ms,
            exploration=self._exploration.policy,
        )
        return pages, lists

    def _subscribe(self) -> None:
        """Attach the thin agents: all they do is hand records over."""
        app, topics = self._app, self._settings.topics
        for topic, intake in ((topics.events, self._events_intake), (topics.items, self._items_intake)):
            app.agent(app.topic(topic, key_type=bytes, value_type=bytes), name=topic)(_agent(intake))

    async def _prepare(self) -> None:
        """Read what is shared and compile the kernels, before any partition is asked for."""
        self._wait_for("compiling")
        await asyncio.to_thread(warm_up_lists, self._rules, self._settings.neighbours_per_item)
        await self._patiently(self._items.refresh)
        await self._patiently(self._pages.refresh)
        await self._patiently(self._models.refresh)
        await self._patiently(self._exploration.refresh)
        await self._patiently(self._lists.make_cold)
        await wait_for_broker(self._settings.kafka_bootstrap, self._wait_for)
        # What is alive now stays alive: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()

    async def _patiently(self, call: Callable[[], Awaitable[object]]) -> None:
        while True:
            try:
                await call()
            except TransientError as error:
                self._wait_for(f"Redis: {error}")
                logger.warning("The worker waits: %s", error)
                await asyncio.sleep(_RETRY_S)
            else:
                self._wait_for(None)
                return

    def _background(self) -> list[Any]:
        return [
            self._items.keep_fresh(),
            self._pages.keep_fresh(),
            self._models.keep_fresh(),
            self._exploration.keep_fresh(),
            self._keep_cold_list(),
            self._resume.keep_claimed(),
        ]

    async def _serve(self, stop: asyncio.Event) -> None:
        events, items = asyncio.create_task(self._events_loop()), asyncio.create_task(self._items_loop())

        async def finish() -> None:
            self._events_intake.close()
            self._items_intake.close()
            await asyncio.gather(events, items)

        logger.info("The worker is ready; health at http://%s:%d/health.", self._settings.health_host, self._port)
        try:
            await run_app(self._app, stop, finish, events, items)
        finally:
            items.cancel()
            events.cancel()

    async def _events_loop(self) -> None:
        """Drain whatever has arrived, again and again: batches grow only under load."""
        most = self._settings.max_batch_events
        while not self._events_intake.closed:
            events = await self._events_intake.take(most * (_BACKLOG_BATCHES if self._catching_up else 1))
            self._catching_up = self._list_policy.is_backlog(self._resume.lag())
            records = [record for event in events if self._accepts(record := source_record(event), event)]
            if records:
                with self._processor.times.measure("batch"):
                    await self._processor.process(records, self._catching_up)
                self._count(len(records))
            for event in events:
                event.ack()

    def _accepts(self, record: SourceRecord, event: Any) -> bool:
        return self._gate.accept(record.partition, record.offset, event.message.generation_id)

    def _count(self, records: int) -> None:
        self._progress.advanced()
        self._rate.add(records)
        self._batches += 1
        self._batch_size = records

    async def _items_loop(self) -> None:
        while not self._items_intake.closed:
            events = await self._items_intake.take(_ITEMS_PER_BATCH)
            if events:
                await self._items_processor.process([source_record(event) for event in events])
            for event in events:
                event.ack()

    async def _keep_cold_list(self) -> None:
        while True:
            await asyncio.sleep(_COLD_LIST_S)
            try:
                made = await self._lists.make_cold()
                await self._serving.put_cold_list(made.served, _cold_record(made))
            except TransientError as error:
                logger.warning("The list of new users is not renewed: %s", error)
            except Exception:
                logger.exception("Renewing the list of new users failed; trying again.")

    def _wait_for(self, what: str | None) -> None:
        self._waiting_for = what

    def _status(self) -> Mapping[str, object]:
        return {
            "port": self._port,
            "events_per_s": self._rate.peek(),
            "events_handled": self._rate.total,
            "batches": self._batches,
            "batch_size": self._batch_size,
            "lag": self._resume.lag(),
            "catching_up": self._catching_up,
            "partitions": self._gate.partitions,
            "versions": self._models.versions,
            "scoring": self._lists.open_because or "ok",
            "items": len(self._items.catalogue),
            "pages_read": self._pages.pages_read,
            "waiting_for": self._waiting_for or self._resume.waiting_for or self._processor.waiting_for,
            "step_ms": {**self._processor.times.summary(), **self._lists.times.summary()},
        }


def _agent(intake: Intake) -> Callable[[Any], Awaitable[None]]:
    async def take(stream: Any) -> None:
        async for event in stream.noack().events():
            await intake.put(event)

    return take


def _cold_record(made: MadeList) -> bytes:
    """Return the list of new users in the form of a recommendation that no event has caused."""
    now_ms = time.time_ns() // 1_000_000
    record = SourceRecord("", -1, -1, now_ms, None, None)
    event = ActivityEvent(
        event_id=made.served.recommendation_id, user_id=_COLD_USER, item_id="-", type="-", ts_ms=now_ms
    )
    return encode_recommendation(record, event, now_ms, made.served.version, made.served.arm, made.fallback, made.items)


def run_worker(settings: Settings) -> None:
    """Run a worker in this process until it is told to stop."""

    async def main() -> None:
        await WorkerProcess(settings).run()

    run_in_loop(main())
