"""The log writer: polls, writes what arrived as one batch, commits afterwards."""

import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from kafka import TopicPartition

from millrace.consumers.log_writer.batch import Batch, Record
from millrace.consumers.log_writer.source import MAX_POLL_RECORDS, LogSource
from millrace.kernel.backoff import Backoff
from millrace.kernel.errors import TransientError
from millrace.kernel.settings import Settings
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
    """What the heartbeat tells.

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

    def _connect(self) -> LogSource | None:
        """Return the source as soon as the log and Kafka answer; None when stopped before."""
        backoff = Backoff()
        while not self._stop.is_set():
            try:
                self._take_stock()
                source = LogSource(self._settings, self._log)
            except TransientError as error:
                self._wait(error, backoff)
            else:
                self.status.waiting = ""
                return source
        return None

    def _step(self, source: LogSource) -> None:
        """Write what arrives within one interval."""
        try:
            if not self._counted:
                self._take_stock()
            records = self._gather(source)
        except TransientError as error:
            self._wait(error, Backoff())
            return
        self.status.waiting = ""
        if records:
            self._write(source, records)
        if time.monotonic() - self._committed_at >= COMMIT_INTERVAL_S:
            self._commit(source)

    def _gather(self, source: LogSource) -> list[Record]:
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

    def _write(self, source: LogSource, records: list[Record]) -> None:
        """Write records durably, however long the log needs to take them; stopping gives up, nothing is committed."""
        batch = Batch()
        batch.add(records, self._topics, self._policy)
        backoff = Backoff()
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
                self._wait(error, backoff)
                if self._stop.is_set():
                    return
        if self.status.waiting:
            self.status.waiting = ""
            source.resume()
        self._count(records, batch)

    def _take_stock(self) -> None:
        """Ask the log how far it is and how much it holds."""
        self._ends = dict(self._log.end())
        self.status.logged = self._log.count()
        self._counted = True

    def _go_back(self, source: LogSource, error: LostTailError) -> None:
        """Read again what the log has lost, this batch included."""
        _log.warning("%s", error)
        source.rewind()
        self._positions.clear()
        self._counted = False
        self.status.waiting = ""

    def _store(self, batch: Batch) -> None:
        if batch.items:
            self._log.upsert_items(batch.items)
        if batch.events:
            self._log.append(batch.events)

    def _poll_while_waiting(self, source: LogSource, batch: Batch) -> list[Record]:
        """Keep the membership in the group; a rebalance may bring records of partitions that are not paused yet."""
        try:
            late = source.poll(0)
        except TransientError:
            return []
        batch.add(late, self._topics, self._policy)
        return late

    def _count(self, records: list[Record], batch: Batch) -> None:
        """Advance positions and counters after a durable write."""
        for record in records:
            self._positions[TopicPartition(record.topic, record.partition)] = record.offset + 1
        for event in batch.events:
            if event.offset > self._ends.get(event.partition, -1):
                self._ends[event.partition] = event.offset
                self.status.logged += 1
        self.status.items += len(batch.items)
        self.status.poison.update({reason.value: count for reason, count in batch.poison.items()})

    def _commit(self, source: LogSource) -> None:
        """Commit what is durable and take the lag."""
        self._committed_at = time.monotonic()
        positions, self._positions = self._positions, {}
        if positions:
            source.commit(positions)
        self.status.lag = source.lag()

    def _wait(self, error: TransientError, backoff: Backoff) -> None:
        """Say why nothing happens, once, and wait a moment."""
        sentence = str(error)
        if self.status.waiting != sentence:
            _log.warning("%s Trying again.", sentence)
        self.status.waiting = sentence
        self._stop.wait(backoff.next_s())
