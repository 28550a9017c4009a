import contextlib
import logging
import threading
import time
from collections.abc import Iterator

import pytest

from millrace.kernel.contracts import CatalogueItem, decode_event, decode_item
from millrace.kernel.errors import TransientError
from millrace.kernel.settings import Settings
from millrace.kernel.topic_reader import TopicReader
from millrace.producers import ActivityPublisher, DeliveryError, InvalidRecordError, make_event

pytestmark = pytest.mark.services


@pytest.fixture
def publisher(settings: Settings) -> Iterator[ActivityPublisher]:
    with ActivityPublisher(settings) as publisher:
        yield publisher


def read(settings: Settings, topic: str) -> list:
    with TopicReader(settings, topic, "earliest") as reader:
        return list(reader.read_to_end(20))


def test_a_rating_arrives_as_confirmed(settings: Settings, publisher: ActivityPublisher) -> None:
    delivered = publisher.rate("user-7", "item-1", 4.5, ts_ms=1_000, event_id="e1")
    (record,) = read(settings, settings.topics.events)
    assert (record.topic, record.partition, record.offset) == (
        delivered.topic,
        delivered.partition,
        delivered.offset,
    )
    event = decode_event(record.value, record.timestamp, settings.event_policy, record.key)
    assert (event.event_id, event.user_id, event.item_id, event.value, event.ts_ms) == (
        "e1",
        "user-7",
        "item-1",
        4.5,
        1_000,
    )


def test_an_item_arrives(settings: Settings, publisher: ActivityPublisher) -> None:
    item = CatalogueItem(item_id="1", title="Amélie", genres=("Comedy", "Romance"), year=2001, available=False)
    publisher.upsert_item(item)
    (record,) = read(settings, settings.topics.items)
    assert record.key == b"1"
    assert decode_item(record.value, settings.event_policy) == item


def test_many_events_keep_each_users_order(settings: Settings, publisher: ActivityPublisher) -> None:
    events = [make_event(f"u{n % 17}", "i", 3.0, event_id=f"e{n}") for n in range(3_000)]
    assert len(publisher.publish_many(events)) == 3_000
    order: dict[bytes, list[int]] = {}
    for record in read(settings, settings.topics.events):
        event = decode_event(record.value, record.timestamp, settings.event_policy, record.key)
        order.setdefault(record.key, []).append(int(event.event_id[1:]))
    assert sum(map(len, order.values())) == 3_000
    assert all(numbers == sorted(numbers) for numbers in order.values())


def test_if_one_event_breaks_the_contract_none_is_sent(settings: Settings, publisher: ActivityPublisher) -> None:
    events = [make_event("7", "1", 3.0), make_event("7", "1", 11.0, event_id="bad-one")]
    with pytest.raises(InvalidRecordError, match="bad-one"):
        publisher.publish_many(events)
    assert read(settings, settings.topics.events) == []


def test_a_two_megabyte_record_is_refused_by_name(settings: Settings, publisher: ActivityPublisher) -> None:
    event = make_event("7", "1", 3.0, event_id="huge", context={"x": "y" * 2_000_000})
    with pytest.raises(InvalidRecordError, match=r"'huge'.*2000\d+ bytes"):
        publisher.publish(event)
    with pytest.raises(DeliveryError, match="key b'7' .* was not delivered: .*larger than the maximum") as caught:
        publisher.publish_raw(b"7", b"x" * 2_000_000)
    assert caught.value.records == (settings.topics.events,)
    publisher.rate("7", "1", 3.0, event_id="next")
    assert len(read(settings, settings.topics.events)) == 1


def test_raw_bytes_and_headers_arrive_untouched(settings: Settings, publisher: ActivityPublisher) -> None:
    publisher.publish_raw(b"k\xff", b"\x00\xfe", headers=[("h", b"\x01")])
    (record,) = read(settings, settings.topics.events)
    assert (record.key, record.value, list(record.headers)) == (b"k\xff", b"\x00\xfe", [("h", b"\x01")])


def test_many_threads_share_one_publisher(settings: Settings, publisher: ActivityPublisher) -> None:
    def work(thread: int) -> None:
        for number in range(100):
            publisher.rate(f"u{thread}", f"i{number}", 3.0)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(read(settings, settings.topics.events)) == 800


def test_records_without_waiting_are_all_reported(publisher: ActivityPublisher) -> None:
    outcomes: list[object] = []
    pending = [publisher.publish_async(make_event("7", str(n), 3.0), outcomes.append) for n in range(50)]
    publisher.flush(20)
    assert outcomes == [None] * 50
    assert all(one.done for one in pending)
    assert {one.result(0.1).topic for one in pending} == {pending[0].result().topic}


def test_a_closed_publisher_says_so(settings: Settings) -> None:
    publisher = ActivityPublisher(settings)
    publisher.close()
    with pytest.raises(DeliveryError, match="'e9'.*the publisher is closed"):
        publisher.rate("7", "1", 3.0, event_id="e9")


def test_no_broker_is_one_sentence() -> None:
    with pytest.raises(TransientError, match="No Kafka broker answers at 127.0.0.1:1 .*millrace up"):
        ActivityPublisher(Settings(kafka_bootstrap="127.0.0.1:1"))


class TestBrokerGone:
    """What a caller sees when the broker dies under a publisher."""

    @pytest.fixture
    def orphan(self) -> Iterator[ActivityPublisher]:
        from millrace.apps.stacks.kafka_mock import MockKafka

        logging.getLogger("kafka").setLevel(logging.CRITICAL)
        broker = MockKafka()
        broker.start()
        publisher = ActivityPublisher(
            Settings(kafka_bootstrap=broker.settings()["kafka_bootstrap"]), delivery_timeout_s=1.5, max_in_flight=3
        )
        publisher.rate("7", "1", 3.0)
        broker.stop()
        yield publisher
        publisher.close()
        logging.getLogger("kafka").setLevel(logging.NOTSET)

    def test_a_waiting_call_raises_in_time_and_names_the_record(self, orphan: ActivityPublisher) -> None:
        started = time.monotonic()
        with pytest.raises(DeliveryError, match="'e1'.*was not delivered"):
            orphan.rate("7", "1", 3.0, event_id="e1")
        assert time.monotonic() - started < 6

    def test_every_failed_record_of_many_is_reported(self, orphan: ActivityPublisher) -> None:
        events = [make_event("7", str(n), 3.0) for n in range(3)]
        with pytest.raises(DeliveryError, match="3 of 3 records") as caught:
            orphan.publish_many(events)
        assert set(caught.value.records) == set(events)

    def test_flush_raises_for_what_nobody_watched(self, orphan: ActivityPublisher) -> None:
        orphan.publish_async(make_event("7", "1", 3.0, event_id="unwatched"))
        with pytest.raises(DeliveryError, match="unwatched"):
            orphan.flush(10)
        orphan.flush(10)

    def test_a_full_buffer_holds_the_caller_back(self, orphan: ActivityPublisher) -> None:
        failures: list[DeliveryError | None] = []
        for number in range(3):
            orphan.publish_async(make_event("7", str(number), 3.0), failures.append)
        assert failures == []
        started = time.monotonic()
        with contextlib.suppress(DeliveryError):  # raised where the first three are given up a moment too late
            orphan.publish_async(make_event("7", "3", 3.0), lambda failure: None)
        assert time.monotonic() - started > 0.7
        orphan.flush(10)
        assert len(failures) == 3
        assert all(isinstance(failure, DeliveryError) for failure in failures)
