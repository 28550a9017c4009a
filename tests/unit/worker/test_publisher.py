"""Dead letters that are too large are described in their headers; everything else is published whole or again."""

import asyncio
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError
from faust.exceptions import ProducerSendError

from millrace.kernel.contracts import DeadLetterHeaders
from millrace.kernel.errors import PoisonError, Reason, TransientError
from millrace.runtime.dead_letters import dead_letter
from millrace.runtime.records import OutgoingRecord, SourceRecord
from millrace.streams.worker.publisher import FaustPublisher

CLIENT_LIMIT, BROKER_LIMIT = 8000, 4000
# Too much for the broker, and too much for the client.
SIZES = (BROKER_LIMIT + 1, CLIENT_LIMIT + 1)


class Producer:
    """Takes records as Faust's producer does; the broker answers later, for a whole batch."""

    def __init__(self, broker_limit: int) -> None:
        self.taken: list[OutgoingRecord] = []
        self._broker_limit = broker_limit
        self._batch: list[tuple[OutgoingRecord, asyncio.Future[None]]] = []

    async def send(
        self, topic: str, key: bytes | None, value: bytes | None, partition: Any, timestamp: Any, headers: Any
    ) -> Any:
        assert key is not None or value is not None, "Need at least one: key or value"
        record = OutgoingRecord(topic, key, value, headers)
        if size(record) > CLIENT_LIMIT:
            raise ProducerSendError("too large") from MessageSizeTooLargeError()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._batch.append((record, future))
        loop.call_soon(self._answer)
        return future

    def _answer(self) -> None:
        batch, self._batch = self._batch, []
        for topic in {record.topic for record, _ in batch}:
            mine = [(record, future) for record, future in batch if record.topic == topic]
            for record, future in mine:
                if topic == "away":
                    future.set_exception(KafkaTimeoutError())
                elif any(size(each) > self._broker_limit for each, _ in mine):
                    future.set_exception(MessageSizeTooLargeError())
                else:
                    self.taken.append(record)
                    future.set_result(None)


def size(record: OutgoingRecord) -> int:
    return len(record.key or b"") + len(record.value or b"")


def letter(key: bytes | None, value: bytes | None) -> OutgoingRecord:
    return dead_letter("dlq", SourceRecord("events", 1, 7, 0, key, value), PoisonError(Reason.TOO_LARGE, "Too large."))


async def published(*records: OutgoingRecord, broker_limit: int = BROKER_LIMIT) -> list[OutgoingRecord]:
    app: Any = type("App", (), {"producer": Producer(broker_limit)})
    async with asyncio.timeout(5):
        await FaustPublisher(app).publish(records)
    taken: list[OutgoingRecord] = app.producer.taken
    return taken


@pytest.mark.parametrize("bytes_", SIZES)
async def test_a_dead_letter_that_is_too_large_is_described_and_the_others_are_whole(bytes_: int) -> None:
    small = letter(b"k", b"small")
    taken = await published(OutgoingRecord("lists", b"k", b"a list"), letter(b"k", b"x" * bytes_), small)
    assert sorted(((each.topic, each.value) for each in taken), key=str) == [
        ("dlq", None),
        ("dlq", b"small"),
        ("lists", b"a list"),
    ]


@pytest.mark.parametrize("bytes_", SIZES)
@pytest.mark.parametrize(
    ("make", "large"),
    [
        (lambda big: (None, big), {"value"}),
        (lambda big: (big, None), {"key"}),
        (lambda big: (big, b"small"), {"key"}),
        (lambda big: (b"k", big), {"value"}),
        (lambda big: (big, big), {"key", "value"}),
    ],
)
async def test_what_cannot_be_carried_is_described(
    bytes_: int, make: Callable[[bytes], tuple[bytes | None, bytes | None]], large: set[str]
) -> None:
    big = b"\xffabc" * (bytes_ // 4 + 1)
    key, value = make(big)
    (taken,) = await published(letter(key, value))
    headers = DeadLetterHeaders.from_kafka(taken.headers).model_dump()
    for part in ("key", "value"):
        described = part in large
        assert headers[f"{part}_bytes"] == (len(big) if described else None)
        assert headers[f"{part}_sha256"] == (sha256(big).hexdigest() if described else None)
        assert (headers[f"{part}_start"] or "").startswith("\\xffabc" if described else "")
    assert taken.key == (None if "key" in large else key)
    assert (taken.value or None) == (None if "value" in large else value)
    assert (headers["partition"], headers["offset"], headers["reason"]) == (1, 7, Reason.TOO_LARGE)


async def test_a_record_with_neither_key_nor_value_becomes_a_dead_letter() -> None:
    (taken,) = await published(letter(None, None))
    assert (taken.key, taken.value) == (None, b"")


async def test_a_topic_that_takes_no_letter_at_all_does_not_stop_the_stream(caplog: pytest.LogCaptureFixture) -> None:
    assert await published(letter(b"k" * 100, b"x" * 100), broker_limit=50) == []
    assert "accepts no dead letter of this record" in caplog.text
    assert "millrace-offset" in caplog.text


async def test_anything_else_that_is_refused_is_sent_again() -> None:
    with pytest.raises(TransientError, match="did not take 2 records"):
        await published(OutgoingRecord("away", b"k", b"a list"), letter(b"k", b"small"))
    with pytest.raises(TransientError, match="did not take 1 records"):
        await published(OutgoingRecord("lists", b"k", b"x" * (BROKER_LIMIT + 1)))


def test_a_sentence_of_any_length_and_any_text_fits_into_a_header() -> None:
    poison = PoisonError(Reason.PROCESSING_FAILED, "\udc80" + "x" * 100_000)
    made = dead_letter("dlq", SourceRecord("events", 0, 0, 0, b"k", b"v"), poison)
    error = DeadLetterHeaders.from_kafka(made.headers).error
    assert error.startswith("\\udc80xxx")
    assert len(error) < 1000
