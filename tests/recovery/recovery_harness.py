"""Roles as real processes against a real broker and a real Redis, killed and started again."""

import asyncio
import json
import os
import subprocess
import sys
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from millrace.kernel.contracts import CatalogueItem
from millrace.kernel.keys import Keys
from millrace.kernel.settings import Settings
from millrace.kernel.user_state import UserState
from millrace.stores.redis.connect import connect
from millrace.stores.redis.redis_catalogue import RedisCatalogueStore
from millrace.stores.redis.redis_serving import RedisServingStore
from millrace.stores.redis.redis_statistics import RedisStatisticsStore
from millrace.stores.redis.redis_users import RedisUserStore

KILLED = -9
DEADLINE_S = 120.0


def own_settings(home: Path, kafka: str, redis: str, **others: Any) -> Settings:
    """Return settings of a broker and a Redis, with names of one test's own and without a model server."""
    mark = uuid.uuid4().hex[:10]
    names = {"topic_prefix": f"t{mark}.", "group_prefix": f"t{mark}-", "redis_prefix": f"t{mark}:"}
    return Settings(home=home, kafka_bootstrap=kafka, redis_url=redis, triton_url="in-process", **names, **others)


class Role:
    """One process of a role; ended when the block ends."""

    def __init__(self, name: str, settings: Settings, log: Path, **variables: str) -> None:
        self._log = log.open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "millrace", name],
            env={**os.environ, **settings.environment(), **variables},
            stdout=self._log,
            stderr=self._log,
        )

    def __enter__(self) -> "Role":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._log.close()

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(20)


def wait_until(condition: Callable[[], bool], what: str, log: Path, deadline_s: float = DEADLINE_S) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"Not within {deadline_s} s: {what}\n{log.read_text()[-4000:]}")
        time.sleep(0.2)


@dataclass(frozen=True)
class Published:
    """What was published: the valid events by place, and how many records are broken."""

    events: Mapping[tuple[int, int], dict[str, Any]]
    ends: Mapping[int, int]
    broken: int

    def expected(self) -> dict[str, tuple[int, float, list[str]]]:
        """Count, value sum and touched items by user, each event id applied once, in the order of the partition."""
        seen: set[tuple[str, str]] = set()
        count: Counter[str] = Counter()
        total: defaultdict[str, float] = defaultdict(float)
        touched: defaultdict[str, list[str]] = defaultdict(list)
        for _, event in sorted(self.events.items()):
            user = event["user_id"]
            if (user, event["event_id"]) not in seen:
                seen.add((user, event["event_id"]))
                count[user] += 1
                total[user] += event["value"]
                if event["item_id"] not in touched[user]:
                    touched[user].append(event["item_id"])
        return {user: (count[user], total[user], touched[user]) for user in count}


def publish_events(settings: Settings, number: int, start: int = 0, earlier: Published | None = None) -> Published:
    """Publish events of 13 users on 40 items; every 17th repeats an earlier event id, every 29th is broken.

    Args:
        settings: Where to.
        number: How many.
        start: Number of the first.
        earlier: What was published before; the result includes it.
    """
    places: dict[tuple[int, int], dict[str, Any]] = dict(earlier.events) if earlier else {}
    ends: dict[int, int] = dict(earlier.ends) if earlier else {}
    broken = earlier.broken if earlier else 0
    # The partitioner of Kafka's own clients: a user's records are where a Redis Cluster expects them.
    options = {"linger.ms": 1, "partitioner": "murmur2_random"}
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap, **options})
    by_user: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    start_ms = 1_600_000_000_000

    def delivered(event: dict[str, Any] | None) -> Callable[[Any, Any], None]:
        def callback(error: Any, message: Any) -> None:
            assert error is None
            ends[message.partition()] = max(ends.get(message.partition(), 0), message.offset() + 1)
            if event is not None:
                places[message.partition(), message.offset()] = event

        return callback

    for n in range(start, start + number):
        user = f"u{n * n % 13}"
        if n % 29 == 28:
            broken += 1
            producer.produce(settings.topics.events, b'{"event_id": 3', key=user, on_delivery=delivered(None))
            continue
        event = {
            "event_id": f"e{n}",
            "user_id": user,
            "item_id": f"i{n * 7 % 40}",
            "type": "rating",
            "value": 0.5 + n % 10 / 2,
            "ts_ms": start_ms + 1000 * n,
        }
        if n % 17 == 16 and by_user[user]:
            event = by_user[user][len(by_user[user]) // 2]
        by_user[user].append(event)
        producer.produce(settings.topics.events, json.dumps(event), key=user, on_delivery=delivered(event))
        producer.poll(0)
    producer.flush(DEADLINE_S)
    assert len(places) + broken == start + number
    return Published(places, ends, broken)


def read_topic(settings: Settings, topic: str) -> list[Any]:
    """Return every record of a topic."""
    consumer = Consumer({"bootstrap.servers": settings.kafka_bootstrap, "group.id": "unused", "fetch.wait.max.ms": 5})
    try:
        partitions = sorted(consumer.list_topics(topic, timeout=10).topics[topic].partitions)
        left = {}
        for partition in partitions:
            first, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
            left[partition] = end - first
        consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        records: list[Any] = []
        end_at = time.monotonic() + DEADLINE_S
        while len(records) < sum(left.values()):
            assert time.monotonic() < end_at
            records += [each for each in consumer.consume(500, 0.1) if each.error() is None]
        return records
    finally:
        consumer.close()


@dataclass(frozen=True)
class Stores:
    """The state in Redis, read with the same adapters that the roles use, but synchronously."""

    settings: Settings

    def _run(self, ask: Callable[[Any, Keys], Any]) -> Any:
        async def main() -> Any:
            redis = connect(self.settings)
            try:
                return await ask(redis, Keys.of(self.settings))
            finally:
                await redis.aclose()

        return asyncio.run(main())

    def done(self, role: str, ends: Mapping[int, int]) -> bool:
        """Tell whether a role has handled everything."""
        topic = self.settings.topics.events
        marks = self._run(lambda redis, keys: RedisUserStore(redis, keys, topic).watermarks(role, topic))
        return all(partition in marks and marks[partition].done >= end - 1 for partition, end in ends.items())

    def users(self, user_ids: list[str]) -> dict[str, UserState]:
        topic = self.settings.topics.events
        states = self._run(lambda redis, keys: RedisUserStore(redis, keys, topic).load(user_ids))
        return dict(zip(user_ids, states, strict=True))

    def counters(self) -> dict[str, int]:
        counters: dict[str, int] = self._run(lambda redis, keys: RedisServingStore(redis, keys).counters())
        return counters

    def heartbeats(self) -> list[dict[str, Any]]:
        beats: list[dict[str, Any]] = self._run(lambda redis, keys: RedisServingStore(redis, keys).heartbeats())
        return beats

    def live_events(self) -> float:
        live = self._run(lambda redis, keys: RedisServingStore(redis, keys).live())
        return float(sum(counts["events"] for counts in live.values()))

    def seed_items(self, number: int) -> None:
        """Register items, so that there is always something left to recommend."""
        items = [CatalogueItem(item_id=f"i{n}", title=f"Item {n}", genres=("Drama",)) for n in range(number)]
        self._run(lambda redis, keys: RedisCatalogueStore(redis, keys).upsert(items))

    def item_ids(self) -> dict[int, str]:
        found = self._run(lambda redis, keys: redis.execute_command("HGETALL", keys.item_id))
        return {int(index): item_id.decode() for index, item_id in found.items()}

    def statistics(self) -> tuple[dict[str, str], list[bytes | None]]:
        topic = self.settings.topics.events

        async def ask(redis: Any, keys: Keys) -> Any:
            store = RedisStatisticsStore(redis, keys, topic)
            return await store.scalars(), await store.popularity(1)

        scalars, chunks = self._run(ask)
        return scalars, chunks
