from dataclasses import dataclass

from millrace.consumers.log_writer.log_batch import LogBatch
from millrace.kernel.backoff import FIRST_S, LONGEST_S, Backoff
from millrace.kernel.contracts import EventPolicy
from millrace.kernel.errors import Reason
from millrace.kernel.topics import Topics

TOPICS = Topics("t.")
EVENT = b'{"event_id":"e","user_id":"u","item_id":"i","type":"rating","value":4.0,"ts_ms":1000}'


@dataclass
class FakeRecord:
    topic: str = TOPICS.events
    partition: int = 2
    offset: int = 7
    timestamp: int = 5000
    key: bytes | None = b"u"
    value: bytes | None = EVENT


def sorted_out(*records: FakeRecord) -> LogBatch:
    batch = LogBatch()
    batch.add(records, TOPICS, EventPolicy())
    return batch


def test_events_keep_their_coordinates_and_arrival_time() -> None:
    batch = sorted_out(FakeRecord(), FakeRecord(offset=8, timestamp=6000))
    assert [(e.partition, e.offset, e.received_ts_ms) for e in batch.events] == [(2, 7, 5000), (2, 8, 6000)]
    assert batch.events[0].event.value == 4.0
    assert not batch.items
    assert not batch.poison


def test_items_are_told_apart_by_topic() -> None:
    batch = sorted_out(FakeRecord(topic=TOPICS.items, key=b"i", value=b'{"item_id":"i","title":"T"}'))
    assert [item.title for item in batch.items] == ["T"]
    assert not batch.events


def test_poison_is_counted_and_the_rest_goes_on() -> None:
    batch = sorted_out(
        FakeRecord(value=b"{"), FakeRecord(key=b"other"), FakeRecord(value=None), FakeRecord(), FakeRecord(value=b"")
    )
    assert batch.poison == {Reason.INVALID_JSON: 1, Reason.KEY_MISMATCH: 1, Reason.EMPTY_VALUE: 2}
    assert len(batch.events) == 1


def test_backoff_doubles_to_a_bound() -> None:
    backoff = Backoff()
    waits = [backoff.next_s() for _ in range(10)]
    assert waits[:3] == [FIRST_S, 2 * FIRST_S, 4 * FIRST_S]
    assert waits[-1] == LONGEST_S
