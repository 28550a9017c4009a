"""The log writer against a real broker protocol (librdkafka's mock cluster) and a real SQLite log."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import orjson
import pytest
from confluent_kafka import Producer
from waiting import until

from millrace.apps.stacks.kafka_mock import MockKafka
from millrace.consumers.log_writer.topic_source import TopicSource
from millrace.consumers.log_writer.writer import LogWriter
from millrace.kernel.contracts import CatalogueItem
from millrace.kernel.errors import FatalError, TransientError
from millrace.kernel.settings import Settings
from millrace.stores.event_log import EventLog, LoggedEvent, LostTailError
from millrace.stores.event_log.sqlite import SqliteEventLog

pytestmark = pytest.mark.services

DEADLINE_S = 30.0


class Broker:
    """An embedded Kafka and a producer to it."""

    def __init__(self) -> None:
        self._kafka = MockKafka()
        self._kafka.start()
        self.settings = self._kafka.settings()
        self._producer = Producer(
            {"bootstrap.servers": self.settings["kafka_bootstrap"], "linger.ms": 5, "log_level": 0}
        )

    def send(self, topic: str, values: Sequence[bytes], partition: int = 0) -> None:
        for value in values:
            self._producer.produce(topic, value=value, partition=partition)
        assert self._producer.flush(10) == 0

    def stop(self) -> None:
        self._kafka.stop()


@pytest.fixture
def broker() -> Iterator[Broker]:
    running_broker = Broker()
    yield running_broker
    running_broker.stop()


@pytest.fixture
def settings(broker: Broker, tmp_path: Path) -> Settings:
    return Settings(**broker.settings, home=tmp_path)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteEventLog]:
    opened = SqliteEventLog(tmp_path / "events.sqlite")
    yield opened
    opened.close()


def event(number: int, name: str = "e") -> bytes:
    fields = {"event_id": f"{name}{number}", "user_id": "u", "item_id": "i", "type": "rating", "value": 3.0, "ts_ms": 1}
    return orjson.dumps(fields)


@contextmanager
def running(settings: Settings, log: EventLog) -> Iterator[LogWriter]:
    writer = LogWriter(settings, log)
    thread = threading.Thread(target=writer.run)
    thread.start()
    try:
        yield writer
    finally:
        writer.stop()
        thread.join(DEADLINE_S)
        assert not thread.is_alive()


class AwayAtFirst(SqliteEventLog):
    """A log that does not answer the first questions about its end."""

    questions_unanswered = 0

    def end(self) -> dict[int, int]:
        if self.questions_unanswered:
            self.questions_unanswered -= 1
            raise TransientError("The log is away.")
        return super().end()


class DyingLog(SqliteEventLog):
    """A log whose server loses its newest events and all items, once."""

    lost = False

    def append(self, events: Sequence[LoggedEvent]) -> None:
        if any(each.offset == 20 for each in events) and not self.lost:
            self.lost = True
            with self._transaction() as connection:
                connection.execute('DELETE FROM events WHERE "offset" > 7')
                connection.execute("DELETE FROM items")
            raise LostTailError("The last writes are gone.")
        super().append(events)


def offsets(log: EventLog, partition: int = 0) -> list[int]:
    return [each.offset for page in log.read({}) for each in page if each.partition == partition]


def test_what_the_log_has_lost_is_read_again(broker: Broker, settings: Settings, tmp_path: Path) -> None:
    log = DyingLog(tmp_path / "dying.sqlite")
    broker.send(settings.topics.items, [b'{"item_id":"i","title":"A"}'])
    broker.send(settings.topics.events, [event(number) for number in range(20)])
    with running(settings, log) as writer:
        until(lambda: writer.status.logged == 20 and writer.status.items == 1, "twenty events and an item")
        broker.send(settings.topics.events, [event(20)])
        until(lambda: log.count() == 21, "everything, once more")
        until(lambda: writer.status.logged == 21, "and counted")
        until(lambda: len(next(iter(log.items()), [])) == 1, "and the item")
    assert log.lost
    assert offsets(log) == list(range(21))
    assert log.gaps() == {}
    log.close()


def test_everything_valid_is_logged_once_and_poison_leaves_a_gap(
    broker: Broker, settings: Settings, log: SqliteEventLog
) -> None:
    broker.send(settings.topics.items, [b'{"item_id":"i","title":"A"}', b"broken", b'{"item_id":"i","title":"B"}'])
    broker.send(settings.topics.events, [event(0), b"broken", event(2)])
    broker.send(settings.topics.events, [event(0)], partition=3)
    with running(settings, log) as writer:
        until(lambda: log.count() == 3, "three events logged")
        broker.send(settings.topics.events, [event(3)])
        until(lambda: writer.status.logged == 4, "the fourth")
        until(lambda: writer.status.items == 2, "items")
        assert writer.status.poison == {"invalid_json": 2}
    assert log.gaps() == {0: [(1, 1)]}
    assert offsets(log) == [0, 2, 3]
    assert log.end() == {0: 3, 3: 0}
    assert [item for page in log.items() for item in page] == [CatalogueItem(item_id="i", title="B")]


@pytest.mark.parametrize("unanswered", [0, 1])
def test_records_that_come_while_the_group_is_joined_are_read_again(
    broker: Broker, settings: Settings, tmp_path: Path, unanswered: int
) -> None:
    log = AwayAtFirst(tmp_path / "away.sqlite")
    # A log without items reads all of them anew, whatever was committed.
    log.upsert_items([CatalogueItem(item_id="older")])
    log.questions_unanswered = unanswered
    broker.send(settings.topics.items, [b'{"item_id":"a"}', b'{"item_id":"b"}'])
    broker.send(settings.topics.events, [event(0)])
    source = TopicSource(settings, log)
    seen: set[tuple[str, int]] = set()
    wanted = {(settings.topics.items, 0), (settings.topics.items, 1), (settings.topics.events, 0)}

    def read() -> bool:
        with suppress(TransientError):
            # Long enough to join the group and to fetch in one call.
            seen.update((record.topic, record.offset) for record in source.poll(2000))
        return seen == wanted

    try:
        until(read, "every record")
    finally:
        source.close()
        log.close()


def test_a_restart_continues_without_loss_or_repeat(broker: Broker, settings: Settings, log: SqliteEventLog) -> None:
    broker.send(settings.topics.events, [event(number) for number in range(5)])
    with running(settings, log):
        until(lambda: log.count() == 5, "the first five")
    broker.send(settings.topics.events, [event(number) for number in range(5, 9)])
    with running(settings, log) as writer:
        until(lambda: log.count() == 9, "all nine")
        until(lambda: writer.status.logged == 9, "the writer's own count")
    assert offsets(log) == list(range(9))


def test_an_emptied_log_is_filled_again(
    broker: Broker, settings: Settings, log: SqliteEventLog, tmp_path: Path
) -> None:
    broker.send(settings.topics.events, [event(number) for number in range(5)])
    broker.send(settings.topics.items, [b'{"item_id":"i"}'])
    with running(settings, log):
        until(lambda: log.count() == 5, "the first five")
    other = SqliteEventLog(tmp_path / "new.sqlite")
    with running(settings, other):
        until(lambda: other.count() == 5 and any(other.items()), "all of it again")
    other.close()


def test_an_outage_of_the_log_is_waited_out(broker: Broker, settings: Settings, log: SqliteEventLog) -> None:
    away = threading.Event()

    class Unsteady:
        def __getattr__(self, name: str) -> object:
            return getattr(log, name)

        def append(self, events: Sequence[LoggedEvent]) -> None:
            if away.is_set():
                raise TransientError("The disk is full.")
            log.append(events)

    unsteady = Unsteady()
    with running(settings, unsteady) as writer:  # type: ignore[arg-type]
        broker.send(settings.topics.events, [event(0)])
        until(lambda: log.count() == 1, "the first event")
        away.set()
        broker.send(settings.topics.events, [event(1)])
        until(lambda: "full" in writer.status.waiting, "it says what it waits for")
        broker.send(settings.topics.events, [event(2)])
        away.clear()
        until(lambda: log.count() == 3, "everything after the outage")
        until(lambda: not writer.status.waiting, "no more waiting")
    assert offsets(log) == [0, 1, 2]


def test_an_outage_of_kafka_is_said_and_does_not_end_the_writer(
    broker: Broker, settings: Settings, log: SqliteEventLog
) -> None:
    broker.send(settings.topics.events, [event(0)])
    with running(settings, log) as writer:
        until(lambda: log.count() == 1, "the first event")
        assert writer.status.waiting == ""
        broker.stop()
        until(lambda: "does not answer" in writer.status.waiting, "it says what it waits for")


@pytest.mark.parametrize("new_events", [2, 9])
def test_a_topic_created_anew_is_noticed(tmp_path: Path, log: SqliteEventLog, new_events: int) -> None:
    for name, events in (("old", 5), ("new", new_events)):
        broker = Broker()
        settings = Settings(**broker.settings, home=tmp_path)
        broker.send(settings.topics.events, [event(number, name) for number in range(events)])
        if name == "old":
            with running(settings, log):
                until(lambda: log.count() == 5, "the old topic")
            broker.stop()
            continue
        writer = LogWriter(settings, log)
        with pytest.raises(FatalError, match="created anew.*millrace rebuild --new-topic"):
            writer.run()
        assert log.archive() == 5
        with running(settings, log):
            until(lambda: log.count() == 5 + new_events, "the new topic beside the old one")
        broker.stop()


def test_the_process_survives_a_kill_and_ends_cleanly_on_sigterm(
    broker: Broker, settings: Settings, log: SqliteEventLog
) -> None:
    def start() -> subprocess.Popen[bytes]:
        environment = {**os.environ, **settings.environment()}
        return subprocess.Popen([sys.executable, "-P", "-m", "millrace", "log-writer"], env=environment)

    broker.send(settings.topics.events, [event(number) for number in range(2000)])
    process = start()
    try:
        until(lambda: log.count() > 0, "some events")
        process.send_signal(signal.SIGKILL)
        process.wait(DEADLINE_S)
        broker.send(settings.topics.events, [event(number) for number in range(2000, 2500)])
        process = start()
        until(lambda: log.count() == 2500, "all events")
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0
    finally:
        process.kill()
        process.wait()
    assert offsets(log) == list(range(2500))
