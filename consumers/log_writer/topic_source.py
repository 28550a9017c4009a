"""The Kafka side of the log writer: where reading starts, and whether the topic is still the one that was logged."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError

from millrace.consumers.log_writer.log_batch import Record
from millrace.kernel.errors import FatalError, TransientError
from millrace.kernel.kafka_client import consumer_options
from millrace.kernel.settings import Settings
from millrace.stores.event_log import EventLog, LoggedEvent

_log = logging.getLogger(__name__)

# The writer is not latency-critical: few, larger fetches cost little CPU.
MIN_FETCH_WAIT_MS = 100
MAX_POLL_RECORDS = 5000
# kafka-python drops the connection on a larger response; its default of 1 MB is less than one fetch of four partitions.
_MAX_FRAME_BYTES = 100_000_000
GROUP = "log-writer"


class TopicSource(ConsumerRebalanceListener):  # type: ignore[misc]
    """Reads `events` from where the log ends and `items` from where the group committed.

    The log's own end decides, not the committed offset: so an emptied log is filled again from all that Kafka
    still has, and nothing is skipped when a commit ran ahead. The last logged record is read once more and compared.

    Args:
        settings: Addresses, topic and group names.
        log: The log whose end is continued.

    Raises:
        TransientError: Kafka does not answer.
    """

    def __init__(self, settings: Settings, log: EventLog) -> None:
        self._topics = settings.topics
        self._bootstrap = settings.kafka_bootstrap
        self._log = log
        self._assigned: set[TopicPartition] = set()
        self._expected: dict[int, LoggedEvent] = {}
        self._items_anew = False
        try:
            self._consumer = KafkaConsumer(
                **consumer_options(settings),
                group_id=f"{settings.group_prefix}{GROUP}",
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                fetch_max_wait_ms=max(settings.kafka_fetch_wait_ms, MIN_FETCH_WAIT_MS),
                session_timeout_ms=settings.kafka_session_timeout_ms,
                heartbeat_interval_ms=settings.kafka_session_timeout_ms // 3,
                max_poll_records=MAX_POLL_RECORDS,
                metrics_enabled=False,
                receive_message_max_bytes=_MAX_FRAME_BYTES,
            )
        except KafkaError as error:
            raise TransientError(f"Kafka at {settings.kafka_bootstrap} does not answer ({error}).") from error
        self._consumer.subscribe([self._topics.events, self._topics.items], listener=self)

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Note what to position in the next poll: kafka-python would swallow an error raised here."""
        self._assigned.update(assigned)

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Forget what is gone; its last records are written again by the next owner, which changes nothing."""
        self._assigned.difference_update(revoked)

    def poll(self, timeout_ms: int) -> list[Record]:
        """Return what has arrived, each partition in order.

        Raises:
            FatalError: A topic was created anew since it was logged.
            TransientError: Kafka does not answer.
        """
        try:
            polled: dict[TopicPartition, list[Any]] = self._consumer.poll(timeout_ms=timeout_ms)
            if fresh := sorted(self._assigned):
                self._hand_back(polled)
                self._position(fresh)
                self._assigned.difference_update(fresh)
                return []
        except KafkaError as error:
            raise TransientError(f"Kafka does not answer ({error or type(error).__name__}).") from error
        records = [record for batch in polled.values() for record in batch]
        if self._expected:
            self._compare(records)
        if not polled and not self._connected():
            raise TransientError(f"Kafka at {self._bootstrap} does not answer.")
        return records

    def commit(self, positions: dict[TopicPartition, int]) -> None:
        """Commit how far the log is, for lag monitors and for `items`; a failed commit loses nothing."""
        offsets = {partition: OffsetAndMetadata(offset, "", -1) for partition, offset in positions.items()}
        try:
            self._consumer.commit(offsets, timeout_ms=5000)
        except KafkaError as error:
            _log.warning("Offsets were not committed (%s); they will be with a later batch.", error)

    def rewind(self) -> None:
        """Read again from where the log ends, and all items: which of them the log has lost is unknown."""
        self._items_anew = True
        self._assigned.update(self._consumer.assignment())
        self.resume()

    def pause(self) -> None:
        """Fetch nothing more for now; polling then only keeps the group membership."""
        self._consumer.pause(*self._consumer.assignment())

    def resume(self) -> None:
        """Fetch again."""
        self._consumer.resume(*self._consumer.paused())

    def lag(self) -> int:
        """Return how many records of all assigned partitions are not read yet, as of the last fetch."""
        lag = 0
        for partition in self._consumer.assignment():
            end = self._consumer.highwater(partition)
            position = self._consumer.position(partition, timeout_ms=0)
            if end is not None and position is not None:
                lag += max(0, end - position)
        return lag

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close(autocommit=False)

    def _connected(self) -> bool:
        """Return whether any broker is connected: kafka-python tries again for ever without an error."""
        client = self._consumer._client
        return any(connection.connected() for connection in tuple(client._conns.values()))

    def _hand_back(self, polled: Mapping[TopicPartition, Sequence[Record]]) -> None:
        """Have the records of a poll read again.

        One poll of kafka-python may join the group and fetch: these were read from where the group committed, before
        anybody could say where to start, and its own position is behind them already.
        """
        for partition, batch in polled.items():
            self._consumer.seek(partition, batch[0].offset)

    def _position(self, fresh: Sequence[TopicPartition]) -> None:
        """Move each newly assigned partition to where its reading starts; `items` stay where the group committed."""
        logged = self._log.end()
        all_items = self._items_anew or next(iter(self._log.items()), None) is None
        begins = self._consumer.beginning_offsets(list(fresh))
        ends = self._consumer.end_offsets(list(fresh))
        for partition in fresh:
            if partition.topic == self._topics.items:
                if all_items:
                    self._consumer.seek(partition, begins[partition])
                continue
            last = logged.get(partition.partition, -1)
            if last >= ends[partition]:
                raise FatalError(_created_anew(partition, f"it ends before offset {last}"))
            self._consumer.seek(partition, self._start(partition, last, begins[partition]))
        self._items_anew = False

    def _start(self, partition: TopicPartition, last: int, begin: int) -> int:
        """Return the offset to read from, given the last one logged and the first one Kafka still has."""
        self._expected.pop(partition.partition, None)
        if last < 0 or last < begin:
            if last + 1 < begin:
                _log.warning(
                    "Kafka no longer has the records %d to %d of %s-%d: the event log has a gap there.",
                    last + 1, begin - 1, partition.topic, partition.partition,
                )  # fmt: skip
            return begin
        expected = self._log.at(partition.partition, last)
        if expected is not None:
            self._expected[partition.partition] = expected
        return last

    def _compare(self, records: Sequence[Record]) -> None:
        """Check that the first record of a continued partition is the last one logged.

        Raises:
            FatalError: It is another record.
        """
        for record in records:
            if record.topic != self._topics.events:
                continue
            expected = self._expected.pop(record.partition, None)
            if expected is None or record.offset != expected.offset:
                continue
            if _event_id(record) != expected.event.event_id:
                where = TopicPartition(record.topic, record.partition)
                raise FatalError(_created_anew(where, f"its record {record.offset} is not the one in the event log"))


def _event_id(record: Record) -> object:
    """Return the record's event_id; the log holds valid events only, so anything else is another record."""
    try:
        content = orjson.loads(record.value or b"")
    except ValueError:
        return None
    return content.get("event_id") if isinstance(content, dict) else None


def _created_anew(partition: TopicPartition, evidence: str) -> str:
    return (
        f"The topic {partition.topic} was created anew since it was logged (partition {partition.partition}: "
        f"{evidence}); run `millrace rebuild --new-topic` once: it keeps the logged events as history and starts over."
    )
