"""Readers of one topic: all partitions without a group, or shared among the members of a group."""

import logging
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Literal

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from millrace.kernel.errors import TransientError, no_broker
from millrace.kernel.kafka_client import consumer_options
from millrace.kernel.settings import Settings

logger = logging.getLogger(__name__)

Start = Literal["earliest", "latest"]

# kafka-python's default of 1 MB breaks the connection on every larger response.
_MAX_RESPONSE_BYTES = 100_000_000
# A broker may need seconds to create a topic.
_TOPIC_TIMEOUT_MS = 10_000
_HEARTBEATS_PER_SESSION = 5
_MAX_POLL_RECORDS = 2_000


def connect_consumer(settings: Settings, **options: Any) -> Any:
    """Return a KafkaConsumer with the options shared by all consumers of Millrace; the caller commits.

    Raises:
        TransientError: No broker answers.
    """
    try:
        return KafkaConsumer(
            **consumer_options(settings),
            enable_auto_commit=False,
            receive_message_max_bytes=_MAX_RESPONSE_BYTES,
            max_poll_records=_MAX_POLL_RECORDS,
            metrics_enabled=False,
            **{"fetch_max_wait_ms": settings.kafka_fetch_wait_ms, **options},
        )
    except (KafkaError, ValueError, AssertionError) as error:
        raise no_broker(settings.kafka_bootstrap, error) from error


class TopicReader:
    """Reads all partitions of one topic from a fixed position on; a context manager, for one thread.

    With `latest` it returns every record published after its construction.

    Args:
        settings: Addresses.
        topic: Full topic name.
        start: `earliest` for everything the topic keeps, `latest` for records from now on.
        fetch_wait_ms: Longest wait of one fetch, in milliseconds; `kafka_fetch_wait_ms` when left out.

    Raises:
        TransientError: No broker answers, or the topic does not exist.
    """

    def __init__(self, settings: Settings, topic: str, start: Start, fetch_wait_ms: int | None = None) -> None:
        self._consumer = connect_consumer(settings, fetch_max_wait_ms=fetch_wait_ms or settings.kafka_fetch_wait_ms)
        try:
            self.partitions = _partitions(self._consumer, topic)
            self._consumer.assign(self.partitions)
            seek = self._consumer.seek_to_beginning if start == "earliest" else self._consumer.seek_to_end
            seek(*self.partitions)
            for partition in self.partitions:
                self._consumer.position(partition)  # resolves the position now, not at the first poll
        except BaseException:
            self._consumer.close()
            raise

    def __enter__(self) -> "TopicReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def poll(self, timeout_s: float) -> list[Any]:
        """Return the records that have arrived, in order within a partition; waits up to `timeout_s` for the first."""
        batches = self._consumer.poll(timeout_ms=max(0, round(timeout_s * 1000)))
        return [record for records in batches.values() for record in records]

    def read_to_end(self, timeout_s: float) -> Iterator[Any]:
        """Yield the records from the current position to the present end of the topic.

        Raises:
            TransientError: The end was not reached in time.
        """
        ends = self.end_offsets()
        deadline = time.monotonic() + timeout_s
        while any(self._consumer.position(partition) < end for partition, end in ends.items()):
            if time.monotonic() > deadline:
                raise TransientError(f"The end of the topic was not reached within {timeout_s:g} s; try again.")
            yield from (r for r in self.poll(0.1) if r.offset < ends[TopicPartition(r.topic, r.partition)])

    def end_offsets(self) -> dict[Any, int]:
        """Return the offset after the last record, by partition."""
        return dict(self._consumer.end_offsets(self.partitions))

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()


class GroupReader:
    """Reads the partitions that a consumer group assigns to this member; for one thread.

    A group without a stored position starts at the beginning.

    Args:
        settings: Addresses.
        topic: Full topic name.
        group: Full group name.

    Raises:
        TransientError: No broker answers.
    """

    def __init__(self, settings: Settings, topic: str, group: str) -> None:
        self._topic = topic
        session_ms = settings.kafka_session_timeout_ms
        self._consumer = connect_consumer(
            settings,
            group_id=group,
            auto_offset_reset="earliest",
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=session_ms // _HEARTBEATS_PER_SESSION,
        )
        self._consumer.subscribe([topic])

    def poll(self, timeout_s: float) -> list[Any]:
        """Return the records that have arrived, in order within a partition; waits up to `timeout_s` for the first."""
        batches = self._consumer.poll(timeout_ms=max(0, round(timeout_s * 1000)))
        return [record for records in batches.values() for record in records]

    def commit(self, next_offsets: Mapping[int, int]) -> None:
        """Store the next offset to read, by partition; partitions now assigned to another member are skipped."""
        owned = self._consumer.assignment()
        offsets = {
            TopicPartition(self._topic, partition): OffsetAndMetadata(offset, "", -1)
            for partition, offset in next_offsets.items()
            if TopicPartition(self._topic, partition) in owned
        }
        try:
            if offsets:
                self._consumer.commit(offsets)
        except KafkaError as error:
            # Delivery is at least once: at worst records are repeated. The next commit includes these positions.
            logger.warning("The position was not stored: %s.", error)

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close(autocommit=False)


def _partitions(consumer: Any, topic: str) -> list[Any]:
    first = TopicPartition(topic, 0)
    # A broker that creates topics on first use does so when a partition is asked for by name.
    consumer.assign([first])
    try:
        consumer.position(first, timeout_ms=_TOPIC_TIMEOUT_MS)
    except KafkaError as error:
        logger.debug("No position in %s: %s", topic, error)
    partitions = consumer.partitions_for_topic(topic)
    if not partitions:
        raise TransientError(f"The topic {topic} does not exist and the broker does not create it; create it first.")
    return [TopicPartition(topic, partition) for partition in sorted(partitions)]
