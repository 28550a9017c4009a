"""The log writer: polls, writes what has arrived as one batch, then commits."""

import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from kafka import TopicPartition

from millrace.consumers.log_writer.log_batch import LogBatch, Record
from millrace.consumers.log_writer.topic_source import MAX_POLL_RECORDS, TopicSource
from millrace.kernel.errors import TransientError
from millrace.kernel.settings import Settings
from millrace.runtime.retry import Retry
from millrace.stores.event_log import EventLog, LostTailError

_log = logging.getLogger(__name__)

# A batch is whatever arrived in this time: ten transactions a second at most, each flushed to disk.
BATCH_INTERVAL_S = 0.1
# Offsets are committed this often; after a crash the records since then are read again, which changes nothing.
COMMIT_INTERVAL_S = 1.0
# Longest wait for more records when Kafka is known to have some.
_NEXT_FETCH_MS = 50


@dataclass(slots=True)
class LogWriterStatus:
    """What the heartbeat shows.

    Args:
        logged: Events in the log.
        items: Item records written since the start.
        lag: Records not read yet.
        poison: Unusable event records seen since the start, by reason.
        waiting: Why nothing is being written, or empty.
    """

    logged: int = 0
    items: int = 0
    lag: int = 0
    poison: Counter[str] = field(default_factory=Counter)
    waiting: str = ""


class LogWriter:
    """Copies events and items into the event log until it is stopped.

    Args:
        settings: Addresses and names.
        log: Where to write; used by this writer's thread.
    """

    def __init__(self, settings: Settings, log: EventLog) -> None:
        self._settings = settings
        self._topics = settings.topics
        self._policy = settings.event_policy
        self._log = log
        self._stop = threading.Event()
        self._retry = Retry("log writer", on_change=self._show_waiting)
        self._positions: dict[TopicPartition, int] = {}
        self._ends: dict[int, int] = {}
        self._counted = False
        self._committed_at = 0.0
        self.status = LogWriterStatus()

    def stop(self) -> None:
        """Ask `run` to finish what it holds and return; may be called from a signal handler or another thread."""
        self._stop.set()

    def run(self) -> None:
        """Copy until stopped. Waits for Kafka and for the log as long as they are away.

        Raises:
            FatalError: A topic was created anew, or the log is unusable.
        """
        source = self._connect()
        if source is None:
            return
        try:
            while not self._stop.is_set():
                self._step(source)
            self._commit(source)
        finally:
            source.close()

    def _connect(self) -> TopicSource | None:
        """Return the source as soon as the log and Kafka answer; None when stopped before."""
        while not self._stop.is_set():
            try:
                self._read_ends()
                source = TopicSource(self._settings, self._log)
            except TransientError as error:
                self._stop.wait(self._retry.failed(error))
            else:
                self._retry.succeeded()
                return source
        return None

    def _step(self, source: TopicSource) -> None:
        """Write what arrives within one interval."""
        try:
            if not self._counted:
                self._read_ends()
            records = self._gather(source)
        except TransientError as error:
            self._stop.wait(self._retry.failed(error))
            return
        self._retry.succeeded()
        if records:
            self._write(source, records)
        if time.monotonic() - self._committed_at >= COMMIT_INTERVAL_S:
            self._commit(source)

    def _gather(self, source: TopicSource) -> list[Record]:
        """Poll until nothing is left or the interval is over, then let it pass.

        One poll may bring no more than a producer's last small batch of each partition, and polling for every
        record as it arrives costs more than all the rest.
        """
        deadline = time.monotonic() + BATCH_INTERVAL_S
        records = source.poll(int(BATCH_INTERVAL_S * 1000))
        while source.lag() and time.monotonic() < deadline and len(records) < MAX_POLL_RECORDS:
            try:
                records += source.poll(_NEXT_FETCH_MS)
            except TransientError:
                break  # What was read is written first; the next poll says it again.
        if len(records) < MAX_POLL_RECORDS:
            self._stop.wait(max(0.0, deadline - time.monotonic()))
        return records

    def _write(self, source: TopicSource, records: list[Record]) -> None:
        """Write records durably, waiting while the log is away; when stopped meanwhile, nothing is committed."""
        batch = LogBatch()
        batch.add(records, self._topics, self._policy)
        while True:
            try:
                self._store(batch)
                break
            except LostTailError as error:
                self._go_back(source, error)
                return
            except TransientError as error:
                source.pause()
                records += self._poll_while_waiting(source, batch)
                self._stop.wait(self._retry.failed(error))
                if self._stop.is_set():
                    return
        if self.status.waiting:
            self._retry.succeeded()
            source.resume()
        self._count(records, batch)

    def _read_ends(self) -> None:
        """Read from the log how far it is and how much it holds."""
        self._ends = dict(self._log.end())
        self.status.logged = self._log.count()
        self._counted = True

    def _go_back(self, source: TopicSource, error: LostTailError) -> None:
        """Rewind to what the log has lost, this batch included."""
        _log.warning("%s", error)
        source.rewind()
        self._positions.clear()
        self._counted = False
        self._retry.succeeded()

    def _store(self, batch: LogBatch) -> None:
        if batch.items:
            self._log.upsert_items(batch.items)
        if batch.events:
            self._log.append(batch.events)

    def _poll_while_waiting(self, source: TopicSource, batch: LogBatch) -> list[Record]:
        """Keep the membership in the group; a rebalance may bring records of partitions that are not paused yet."""
        try:
            late = source.poll(0)
        except TransientError:
            return []
        batch.add(late, self._topics, self._policy)
        return late

    def _count(self, records: list[Record], batch: LogBatch) -> None:
        """Advance positions and counters after a durable write."""
        for record in records:
            self._positions[TopicPartition(record.topic, record.partition)] = record.offset + 1
        for event in batch.events:
            if event.offset > self._ends.get(event.partition, -1):
                self._ends[event.partition] = event.offset
                self.status.logged += 1
        self.status.items += len(batch.items)
        self.status.poison.update({reason.value: count for reason, count in batch.poison.items()})

    def _commit(self, source: TopicSource) -> None:
        """Commit what is durable and take the lag."""
        self._committed_at = time.monotonic()
        positions, self._positions = self._positions, {}
        if positions:
            source.commit(positions)
        self.status.lag = source.lag()

    def _show_waiting(self, waiting_for: str | None) -> None:
        self.status.waiting = waiting_for or ""
