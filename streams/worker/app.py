"""The `millrace worker` process: wires batches to Faust, Redis and the scorer."""

import asyncio
import gc
import time
from collections.abc import Mapping, Sequence
from typing import Any

from millrace.kernel.contracts import ActivityEvent
from millrace.kernel.keys import Keys
from millrace.kernel.settings import Settings
from millrace.runtime import crash
from millrace.runtime.claims import PartitionGate
from millrace.runtime.intake import Intake, source_record
from millrace.runtime.records import SourceRecord
from millrace.runtime.retry import keep_doing
from millrace.stores.redis.connect import connect
from millrace.stores.redis.redis_catalogue import RedisCatalogueStore
from millrace.stores.redis.redis_statistics import RedisStatisticsStore
from millrace.stores.redis.redis_users import RedisUserStore
from millrace.streams import catalogue_view
from millrace.streams.catalogue_view import CatalogueView
from millrace.streams.faust_role import FaustRole, run_role
from millrace.streams.ranking import CONTEXT_NAMES, FEATURE_NAMES, CandidateStep, ListRules
from millrace.streams.ranking.warm_up import warm_up_lists
from millrace.streams.scoring.choose import make_scorer
from millrace.streams.statistics import ItemStatistics
from millrace.streams.worker import models
from millrace.streams.worker.claimer import WorkerClaimer
from millrace.streams.worker.dependencies import Dependencies, MadeList
from millrace.streams.worker.exploration import ExplorationCache
from millrace.streams.worker.items import ItemsProcessor
from millrace.streams.worker.lists import OnlineLists
from millrace.streams.worker.models import ServingModels
from millrace.streams.worker.overload import ListPolicy
from millrace.streams.worker.pages import PageCache
from millrace.streams.worker.processor import ROLE, BatchProcessor
from millrace.streams.worker.publisher import FaustPublisher
from millrace.streams.worker.recommendations import encode_recommendation

_COLD_LIST_S = 1.0
_ITEMS_PER_BATCH = 500
# The intake holds this many batches.
_INTAKE_BATCHES = 4
# Under a backlog a batch is larger: the more of a user's events it holds, the fewer lists are needed, and what only
# changes state is cheap.
_BACKLOG_BATCHES = 4
# Shown as the user of the list that new users get.
_COLD_USER = "new user"


class WorkerProcess(FaustRole):
    """One worker.

    Args:
        settings: Addresses and names.
    """

    def __init__(self, settings: Settings) -> None:
        redis, gate, keys, topics = connect(settings), PartitionGate(), Keys.of(settings), settings.topics
        users, catalogue_store = RedisUserStore(redis, keys, topics.events), RedisCatalogueStore(redis, keys)
        super().__init__(settings, ROLE, redis, WorkerClaimer(users), gate)
        publisher = FaustPublisher(self.app)
        self._items = CatalogueView(catalogue_store, settings.register_unknown_items)
        self._pages, self._lists = self._make_lists(RedisStatisticsStore(redis, keys, topics.events))
        self._list_policy = ListPolicy(settings.backlog_events, settings.list_max_age_ms)
        self._processor = BatchProcessor(
            settings.event_policy,
            topics,
            Dependencies(users, self._items, self._lists, publisher),
            gate,
            crash.from_environment(),
            self._list_policy,
        )
        self._items_processor = ItemsProcessor(
            settings.event_policy, topics, catalogue_store, publisher, self._items.refresh
        )
        self._events_intake = Intake(_INTAKE_BATCHES * settings.max_batch_events)
        self._items_intake = Intake(2 * _ITEMS_PER_BATCH)
        self.subscribe(topics.events, self._events_intake)
        self.subscribe(topics.items, self._items_intake)
        self._batches = 0
        self._batch_size = 0
        self._catching_up = False

    def _make_lists(self, statistics_store: RedisStatisticsStore) -> tuple[PageCache, OnlineLists]:
        settings = self.settings
        statistics = ItemStatistics(settings.neighbours_per_item)
        step = CandidateStep(statistics, self._items.catalogue)
        pages = PageCache(statistics_store, statistics, lambda: self._items.catalogue.max_index)
        self._models = ServingModels(self.serving, FEATURE_NAMES, CONTEXT_NAMES)
        self._scorer = make_scorer(settings)
        self._rules = ListRules(settings.list_length, settings.diversity, settings.exploration_rate)
        self._exploration = ExplorationCache(self.serving)
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

    async def prepare(self) -> None:
        """Compile the kernels and read what is shared."""
        await asyncio.to_thread(warm_up_lists, self._rules, self.settings.neighbours_per_item)
        for read in (
            self._items.refresh,
            self._pages.refresh,
            self._models.refresh,
            self._exploration.refresh,
            self._lists.make_cold,
        ):
            await self.starting.until_done(read)
        # What is alive now stays alive: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()

    def background(self) -> Sequence[Any]:
        """Return what keeps the worker's views current."""
        page_s = self.settings.page_ttl_ms / 1000
        return (
            keep_doing(self._items.refresh, catalogue_view.POLL_S, "Refreshing the catalogue"),
            keep_doing(self._pages.refresh, page_s, "Refreshing the item statistics"),
            keep_doing(self._models.refresh, models.POLL_S, "Refreshing the serving plan"),
            keep_doing(self._exploration.refresh, page_s, "Refreshing the exploration counts"),
            keep_doing(self._renew_cold_list, _COLD_LIST_S, "Refreshing the list of new users"),
        )

    def loops(self) -> Sequence[Any]:
        """Return the loops that handle events and items."""
        return self._handle_events(), self._handle_items()

    async def finish(self, loops: Sequence["asyncio.Task[None]"]) -> None:
        """Complete the batches in hand."""
        self._events_intake.close()
        self._items_intake.close()
        await asyncio.gather(*loops)

    async def close(self) -> None:
        """Release the scorer."""
        await self._lists.close()
        await self._scorer.close()

    async def _handle_events(self) -> None:
        """Drain whatever has arrived, again and again: batches grow only under load."""
        most = self.settings.max_batch_events
        while not self._events_intake.closed:
            events = await self._events_intake.take(most * (_BACKLOG_BATCHES if self._catching_up else 1))
            self._catching_up = self._list_policy.is_backlog(self.resume.lag())
            if records := self.accepted(events):
                with self._processor.times.measure("batch"):
                    await self._processor.process(records, self._catching_up)
                self.handled(len(records))
                self._batches += 1
                self._batch_size = len(records)
            for event in events:
                event.ack()

    async def _handle_items(self) -> None:
        while not self._items_intake.closed:
            events = await self._items_intake.take(_ITEMS_PER_BATCH)
            if events:
                await self._items_processor.process([source_record(event) for event in events])
            for event in events:
                event.ack()

    async def _renew_cold_list(self) -> None:
        made = await self._lists.make_cold()
        await self.serving.put_cold_list(made.served, _cold_record(made))

    def status(self) -> Mapping[str, object]:
        """Return batches, versions and times."""
        return {
            "batches": self._batches,
            "batch_size": self._batch_size,
            "catching_up": self._catching_up,
            "versions": self._models.versions,
            "scoring": self._lists.open_because or "ok",
            "items": len(self._items.catalogue),
            "pages_read": self._pages.pages_read,
            "waiting_for": self._processor.waiting_for or self._items_processor.waiting_for,
            "step_ms": {**self._processor.times.summary(), **self._lists.times.summary()},
        }


def _cold_record(made: MadeList) -> bytes:
    """Return the list of new users in the form of a recommendation that no event has caused."""
    now_ms = time.time_ns() // 1_000_000
    record = SourceRecord("", -1, -1, now_ms, None, None)
    event = ActivityEvent(
        event_id=made.served.recommendation_id, user_id=_COLD_USER, item_id="-", type="-", ts_ms=now_ms
    )
    return encode_recommendation(record, event, now_ms, made.served.version, made.arm, made.fallback, made.items)


def run_worker(settings: Settings) -> None:
    """Run a worker in this process until SIGTERM or SIGINT."""
    run_role(lambda: WorkerProcess(settings))
