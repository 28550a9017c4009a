"""Reads recommendations and dead letters as they come."""

import threading
from typing import Any

import orjson
from confluent_kafka import Consumer, TopicPartition

from millrace.kernel.contracts import DeadLetterHeaders
from millrace.kernel.settings import Settings
from millrace.load_tests.recovery.ledger import Ledger

_POLL_S = 0.1
_READ_AT_ONCE = 500
_ANSWER_S = 30.0


class AnswersReader:
    """Follows both topics from their beginning in a thread of its own.

    Args:
        settings: Where Kafka is.
        ledger: Receives every list and dead letter.
    """

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._settings = settings
        self._ledger = ledger
        self._consumer = Consumer(
            {
                "bootstrap.servers": settings.kafka_bootstrap,
                # Needed by the library, used by nobody: partitions are assigned by hand.
                "group.id": "recovery",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 50,
                "log_level": 2,
            }
        )
        topics = (settings.topics.recommendations, settings.topics.dead_letters)
        self._consumer.assign([TopicPartition(topic, part, 0) for topic in topics for part in self._partitions(topic)])
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recovery-reader", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop reading."""
        self._ended.set()
        self._thread.join()
        self._consumer.close()

    def _partitions(self, topic: str) -> list[int]:
        return sorted(self._consumer.list_topics(topic, timeout=_ANSWER_S).topics[topic].partitions)

    def _run(self) -> None:
        while not self._ended.is_set():
            for record in self._consumer.consume(_READ_AT_ONCE, _POLL_S):
                # An error here is a broker that is away: librdkafka finds the next one by itself.
                if record.error() is None:
                    self._take(record)

    def _take(self, record: Any) -> None:
        if record.topic() == self._settings.topics.dead_letters:
            headers = DeadLetterHeaders.from_kafka(record.headers())
            self._ledger.dead((headers.partition, headers.offset))
            return
        value = orjson.loads(record.value())
        self._ledger.answered((value["source_partition"], value["source_offset"]), value["recommendation_id"])
