"""A batch processor on a real Redis, with a scorer and a publisher that the test holds in its hands."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from millrace.kernel.contracts import CatalogueItem
from millrace.kernel.errors import TransientError
from millrace.kernel.keys import Keys
from millrace.kernel.settings import Settings
from millrace.runtime.claims import PartitionGate
from millrace.runtime.records import OutgoingRecord, SourceRecord
from millrace.stores.redis.connect import connect
from millrace.stores.redis.redis_catalogue import RedisCatalogueStore
from millrace.stores.redis.redis_serving import RedisServingStore
from millrace.stores.redis.redis_statistics import RedisStatisticsStore
from millrace.stores.redis.redis_users import RedisUserStore
from millrace.streams.catalogue_view import CatalogueView
from millrace.streams.ranking import CONTEXT_NAMES, FEATURE_NAMES, CandidateStep, ListRules
from millrace.streams.scoring.card import ServingCard
from millrace.streams.scoring.scorer import PROPOSALS, RANKED, ScoreRequest, ScoreResponse
from millrace.streams.statistics import ItemStatistics
from millrace.streams.worker.circuit import Circuit
from millrace.streams.worker.claimer import WorkerClaimer
from millrace.streams.worker.dependencies import Dependencies, ListMaker
from millrace.streams.worker.exploration import ExplorationCache
from millrace.streams.worker.lists import OnlineLists
from millrace.streams.worker.models import ServingModels
from millrace.streams.worker.overload import ListPolicy
from millrace.streams.worker.pages import PageCache
from millrace.streams.worker.processor import BatchProcessor

ITEMS = 80
NOW_MS = 1_700_000_000_000
GENERATION = 1


@dataclass
class HeldScorer:
    """Ranks the candidates backwards, so that a scored list is not the fallback list; or fails, or hangs.

    Args:
        away: Fail as an absent server does.
        version_away: Fail so for this version alone.
        ranks_only: Rank this item alone.
        hangs: Answer nothing until the deadline.
        holds: Answer nothing at all, whatever the deadline.
        breaks_on_touched: Break on every request for a user whose history holds this item.
        asked: The versions asked for.
    """

    away: bool = False
    version_away: str = ""
    ranks_only: int = 0
    breaks_on_touched: int = 0
    hangs: bool = False
    holds: bool = False
    asked: list[str] = field(default_factory=list)

    async def score(self, version: str, request: ScoreRequest, timeout_s: float) -> ScoreResponse:
        self.asked.append(version)
        if self.holds:
            await asyncio.Event().wait()
        if self.hangs:
            await asyncio.sleep(timeout_s)
            raise TransientError("no answer in time")
        if self.breaks_on_touched and (request.history == self.breaks_on_touched).any():
            raise ZeroDivisionError("by this user")
        if self.away or version == self.version_away:
            raise TransientError("away")
        rows, number = len(request.candidates), int((request.candidates[0] > 0).sum())
        items = np.zeros((rows, RANKED), np.int32)
        proposals = np.zeros((rows, PROPOSALS), np.int32)
        for row, candidates in enumerate(request.candidates):
            found = candidates[candidates > 0][::-1]
            items[row, : min(RANKED, len(found))] = found[:RANKED]
            proposals[row, :3] = found[:3]
        if self.ranks_only:
            items[:] = [self.ranks_only] + [0] * (RANKED - 1)
        scores = np.tile(np.linspace(1, 0, RANKED, dtype=np.float32), (rows, 1))
        ratings = np.full((rows, RANKED), 4.25, np.float32)
        assert number
        return ScoreResponse(items, scores, ratings, np.full((rows, RANKED), -1, np.int32), proposals)

    async def close(self) -> None:
        """Nothing to release."""


@dataclass
class HeldPublisher:
    """Keeps what is published; fails as often as told."""

    failures: int = 0
    records: list[OutgoingRecord] = field(default_factory=list)

    async def publish(self, records: Sequence[OutgoingRecord]) -> None:
        if self.failures:
            self.failures -= 1
            raise TransientError("Kafka is away")
        self.records += records

    def lists(self, settings: Settings) -> list[dict[str, Any]]:
        topic = settings.topics.recommendations
        return [orjson.loads(record.value or b"") for record in self.records if record.topic == topic]

    def letters(self, settings: Settings) -> list[OutgoingRecord]:
        return [record for record in self.records if record.topic == settings.topics.dead_letters]


@dataclass
class Rig:
    """Everything a test touches."""

    settings: Settings
    users: RedisUserStore
    serving: RedisServingStore
    statistics: RedisStatisticsStore
    catalogue: CatalogueView
    gate: PartitionGate
    scorer: HeldScorer
    publisher: HeldPublisher
    models: ServingModels
    pages: PageCache
    exploration: ExplorationCache
    lists: OnlineLists
    processor: BatchProcessor
    offsets: dict[int, int] = field(default_factory=dict)

    def with_lists(self, lists: ListMaker, list_policy: ListPolicy | None = None) -> BatchProcessor:
        """Return a processor with another way to make lists, or another choice of events that get one."""
        outside = Dependencies(self.users, self.catalogue, lists, self.publisher)
        policy, topics = self.settings.event_policy, self.settings.topics
        return BatchProcessor(policy, topics, outside, self.gate, list_policy=list_policy)

    def record(self, user: str, item: str, *, partition: int = 0, event_id: str | None = None) -> SourceRecord:
        """Return the next record of a partition."""
        offset = self.offsets.get(partition, -1) + 1
        self.offsets[partition] = offset
        value = {
            "event_id": event_id or f"e{partition}-{offset}",
            "user_id": user,
            "item_id": item,
            "type": "rating",
            "value": 4.5,
            "ts_ms": NOW_MS + 1000 * offset,
        }
        topic = self.settings.topics.events
        return SourceRecord(topic, partition, offset, NOW_MS + 10**9, user.encode(), orjson.dumps(value))

    async def claim(self, partitions: Sequence[int]) -> None:
        """Take partitions over, as after an assignment."""
        for partition, claim in (await WorkerClaimer(self.users).claim(partitions)).items():
            self.gate.open(partition, claim, GENERATION, claim.done + 1)

    async def serve(self, version: str) -> None:
        """Make a version champion."""
        card = ServingCard(
            version=version,
            triton_model=f"recommender_{version}",
            items=ITEMS,
            vector_width=4,
            feature_names=FEATURE_NAMES,
            context_names=CONTEXT_NAMES,
            weights=(0.1,) * len(FEATURE_NAMES),
            context_weights=((0.0,) * len(FEATURE_NAMES),) * len(CONTEXT_NAMES),
        )
        vectors = np.random.default_rng(1).normal(size=(ITEMS + 1, 4)).astype(np.float16)
        await self.serving.put_model(version, card.model_dump_json().encode(), vectors.tobytes())
        await self.serving.set_plan(version)
        await self.models.refresh()


@asynccontextmanager
async def rig(redis_server: str, **overrides: Any) -> AsyncIterator[Rig]:
    """Return a rig with a catalogue, partitions 0 and 1 claimed, and no model."""
    mark = uuid.uuid4().hex[:10]
    overrides = {"exploration_rate": 0.0, **overrides}
    settings = Settings(redis_url=redis_server, redis_prefix=f"t{mark}:", topic_prefix=f"t{mark}.", **overrides)
    redis, keys, topic = connect(settings), Keys.of(settings), settings.topics.events
    users, serving = RedisUserStore(redis, keys, topic), RedisServingStore(redis, keys)
    statistics, store = RedisStatisticsStore(redis, keys, topic), RedisCatalogueStore(redis, keys)
    await store.upsert([CatalogueItem(item_id=f"i{n}", title=f"Item {n}", genres=("A",)) for n in range(ITEMS)])
    catalogue = CatalogueView(store, settings.register_unknown_items)
    await catalogue.refresh()
    step = CandidateStep(ItemStatistics(settings.neighbours_per_item), catalogue.catalogue)
    pages = PageCache(statistics, step.statistics, lambda: catalogue.catalogue.max_index)
    models, scorer = ServingModels(serving, FEATURE_NAMES, CONTEXT_NAMES), HeldScorer()
    rules = ListRules(settings.list_length, 0.0, settings.exploration_rate)
    exploration = ExplorationCache(serving)
    lists = OnlineLists(
        step,
        pages,
        models,
        scorer,
        rules,
        settings.scoring_deadline_ms,
        lambda: Circuit(probe_interval_s=0.0),
        exploration=exploration.policy,
    )
    await lists.make_cold()
    publisher, gate = HeldPublisher(), PartitionGate()
    outside = Dependencies(users, catalogue, lists, publisher)
    processor = BatchProcessor(settings.event_policy, settings.topics, outside, gate)
    made = Rig(
        settings,
        users,
        serving,
        statistics,
        catalogue,
        gate,
        scorer,
        publisher,
        models,
        pages,
        exploration,
        lists,
        processor,
    )
    await made.claim([0, 1])
    try:
        yield made
    finally:
        await lists.close()
        await redis.aclose()
