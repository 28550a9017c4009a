"""A worker's stand-in: answers every event with a list, so that replay and subscriber are tested against real Kafka."""

import threading
import time
from types import TracebackType

import orjson
from kafka import KafkaProducer

from millrace.kernel.settings import Settings
from millrace.kernel.topic_reader import GroupReader


class AnsweringWorker:
    """Reads events on a thread and publishes a recommendation for each; a context manager.

    Args:
        settings: Addresses.
        silent_users: Users who never get a list.
        copies: How often each list is published, as after a crash.
    """

    def __init__(self, settings: Settings, silent_users: frozenset[str] = frozenset(), copies: int = 1) -> None:
        self._settings = settings
        self._silent = silent_users
        self._copies = copies
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.in_flight_problems: list[str] = []
        self.order: list[str] = []

    def __enter__(self) -> "AnsweringWorker":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        settings = self._settings
        reader = GroupReader(settings, settings.topics.events, f"{settings.group_prefix}worker")
        producer = KafkaProducer(bootstrap_servers=settings.kafka_bootstrap, metrics_enabled=False)
        position: dict[int, int] = {}
        while not self._stop.is_set():
            for record in reader.poll(0.02):
                event = orjson.loads(record.value)
                position[record.partition] = record.offset + 1
                self.order.append(event["event_id"])
                if event["user_id"] not in self._silent:
                    value = orjson.dumps(recommendation(event, record.partition, record.offset, record.timestamp))
                    for _ in range(self._copies):
                        producer.send(settings.topics.recommendations, value, key=record.key)
            reader.commit(position)
        producer.close(5)
        reader.close()


def recommendation(event: dict[str, object], partition: int, offset: int, received_ts_ms: int) -> dict[str, object]:
    """Return the fields of a list with two items."""
    return {
        "recommendation_id": f"{partition}-{offset}-{event['event_id']}",
        "user_id": event["user_id"],
        "event_id": event["event_id"],
        "source_partition": partition,
        "source_offset": offset,
        "event_ts_ms": event["ts_ms"],
        "received_ts_ms": received_ts_ms,
        "generated_ts_ms": time.time_ns() // 1_000_000,
        "model_version": "v000001",
        "arm": "champion",
        "fallback": None,
        "items": [
            {
                "item_id": "1",
                "rank": 1,
                "score": 2.0,
                "predicted_rating": 4.4,
                "reason": {"code": "because_you_rated", "item_id": event["item_id"]},
            },
            {"item_id": "9", "rank": 2, "score": 1.0, "predicted_rating": None, "reason": {"code": "new"}},
        ],
    }
