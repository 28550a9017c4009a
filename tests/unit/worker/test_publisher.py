"""Dead letters that are too large leave their headers; everything else is published whole or again."""

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError
from faust.exceptions import ProducerSendError

from millrace.kernel.errors import TransientError
from millrace.streams.worker.publisher import FaustPublisher
from millrace.streams.worker.records import OutgoingRecord

CLIENT_LIMIT, BROKER_LIMIT = 100, 50


class Producer:
    """Takes records as Faust's producer does; the broker answers later, for a whole batch."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bytes | None]] = []
        self._batch: list[tuple[str, bytes | None, asyncio.Future[None]]] = []

    async def send(self, topic: str, key: Any, value: bytes | None, _: Any, __: Any, headers: Any) -> Any:
        if value is not None and len(value) > CLIENT_LIMIT:
            raise ProducerSendError("too large") from MessageSizeTooLargeError()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._batch.append((topic, value, future))
        loop.call_soon(self._answer)
        return future

    def _answer(self) -> None:
        batch, self._batch = self._batch, []
        for topic in {topic for topic, _, _ in batch}:
            mine = [(value, future) for each, value, future in batch if each == topic]
            for value, future in mine:
                if topic == "away":
                    future.set_exception(KafkaTimeoutError())
                elif any(len(each or b"") > BROKER_LIMIT for each, _ in mine):
                    future.set_exception(MessageSizeTooLargeError())
                else:
                    self.taken.append((topic, value))
                    future.set_result(None)


def letter(value: bytes) -> OutgoingRecord:
    return OutgoingRecord("dlq", b"k", value, [("millrace-reason", b"too_large")])


async def published(*records: OutgoingRecord) -> list[tuple[str, bytes | None]]:
    app: Any = type("App", (), {"producer": Producer()})
    async with asyncio.timeout(5):
        await FaustPublisher(app).publish(records)
    taken: list[tuple[str, bytes | None]] = app.producer.taken
    return taken


@pytest.mark.parametrize("size", [BROKER_LIMIT + 1, CLIENT_LIMIT + 1])
async def test_a_dead_letter_that_is_too_large_leaves_its_headers(size: int) -> None:
    taken = await published(OutgoingRecord("lists", b"k", b"a list"), letter(b"x" * size), letter(b"small"))
    assert sorted(taken, key=str) == [("dlq", None), ("dlq", b"small"), ("lists", b"a list")]


async def test_anything_else_that_is_refused_is_sent_again() -> None:
    with pytest.raises(TransientError, match="did not take 2 records"):
        await published(OutgoingRecord("away", b"k", b"a list"), letter(b"small"))
    with pytest.raises(TransientError, match="did not take 1 records"):
        await published(OutgoingRecord("lists", b"k", b"x" * (BROKER_LIMIT + 1)))
