"""How far the consumer groups of a topic are behind, from their committed offsets."""

import threading
from collections.abc import Iterable, Mapping
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaError

from millrace.kernel.settings import Settings
from millrace.kernel.topic_reader import connect_consumer

# The roles that read `events`; their groups are named after them.
READER_ROLES = ("worker", "statistics", "log-writer")
_LAG_EVERY_S = 1.0


def lag_behind(ends: Mapping[Any, int], committed: Mapping[Any, int | None]) -> int | None:
    """Return how many records a group has yet to read, or None if it has never committed (it does not run)."""
    if all(offset is None for offset in committed.values()):
        return None
    return sum(max(0, end - (committed.get(partition) or 0)) for partition, end in ends.items())


class LagMeter:
    """Measures the lag of several groups on one topic; a lag is as fresh as the group's last commit.

    Args:
        settings: Addresses and the group prefix.
        topic: Full topic name.
        roles: Group names without prefix.
    """

    def __init__(self, settings: Settings, topic: str, roles: Iterable[str] = READER_ROLES) -> None:
        self._consumers = {
            role: connect_consumer(settings, group_id=f"{settings.group_prefix}{role}") for role in roles
        }
        self._topic = topic

    def lags(self) -> dict[str, int]:
        """Return the lag in records by role, of the groups that have committed."""
        lags = {role: self._lag(consumer) for role, consumer in self._consumers.items()}
        return {role: lag for role, lag in lags.items() if lag is not None}

    def close(self) -> None:
        """Let go of the connections."""
        for consumer in self._consumers.values():
            consumer.close()

    def _lag(self, consumer: Any) -> int | None:
        try:
            numbers = consumer.partitions_for_topic(self._topic) or ()
            partitions = [TopicPartition(self._topic, number) for number in numbers]
            committed = {partition: consumer.committed(partition, timeout_ms=1000) for partition in partitions}
            return lag_behind(consumer.end_offsets(partitions), committed)
        except KafkaError:
            return None  # an unreachable coordinator says nothing about the lag; the next measurement will


class BackgroundLag:
    """Measures the lag of the events topic on its own thread: asking the broker takes longer than a replay may pause.

    Args:
        settings: Addresses.
    """

    def __init__(self, settings: Settings) -> None:
        self._meter = LagMeter(settings, settings.topics.events)
        self._stop = threading.Event()
        self.worst: tuple[int | None, str | None] = (None, None)
        self._thread = threading.Thread(target=self._run, name="replay-lag", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread and close the connection."""
        self._stop.set()
        self._thread.join()
        self._meter.close()

    def _run(self) -> None:
        while not self._stop.wait(_LAG_EVERY_S):
            lags = self._meter.lags()
            if lags:
                role = max(lags, key=lambda name: lags[name])
                self.worst = (lags[role], role)
