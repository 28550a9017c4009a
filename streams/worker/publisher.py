"""Publishing with the Faust app's own producer."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from faust.exceptions import ProducerSendError

from millrace.kernel.errors import TransientError
from millrace.runtime.dead_letters import described
from millrace.runtime.records import OutgoingRecord

logger = logging.getLogger(__name__)

# aiokafka retries by itself until its request timeout; this only guards against a send that never ends.
_ACK_TIMEOUT_S = 60.0


class FaustPublisher:
    """Sends a batch of records and waits for all acknowledgements together.

    A record with headers is a dead letter: one that is too large is sent again with its large parts described.

    Args:
        app: A started Faust app.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def publish(self, records: Sequence[OutgoingRecord]) -> None:
        """Send all and return once the brokers have acknowledged every one.

        Raises:
            TransientError: Not every record was acknowledged; publish them again.
        """
        try:
            async with asyncio.timeout(_ACK_TIMEOUT_S):
                acknowledgements = [await self._send(record) for record in records]
                answers = await asyncio.gather(*acknowledgements, return_exceptions=True)
                for record, answer in zip(records, answers, strict=True):
                    if isinstance(answer, MessageSizeTooLargeError) and record.headers:
                        await self._send_alone(record)
                    elif isinstance(answer, BaseException):
                        raise answer
        except (KafkaError, ProducerSendError, TimeoutError) as error:
            raise TransientError(
                f"Kafka did not take {len(records)} records ({error!r}); they are sent again."
            ) from error

    async def _send(self, record: OutgoingRecord) -> Any:
        try:
            return await self._hand_over(record)
        except ProducerSendError as error:
            if not isinstance(error.__cause__, MessageSizeTooLargeError) or not record.headers:
                raise
            return await self._hand_over(_described(record))

    async def _send_alone(self, record: OutgoingRecord) -> None:
        """Send a dead letter that the broker refused: it judges whole batches, so another record may have been large.

        A topic may accept less than a described letter has; then the log keeps its headers, and the stream goes on.
        """
        for attempt in (record, _described(record)):
            try:
                await (await self._send(attempt))
                return
            except MessageSizeTooLargeError:
                continue
        logger.error("The broker accepts no dead letter of this record, not even its headers: %s.", record.headers)

    async def _hand_over(self, record: OutgoingRecord) -> Any:
        return await self._app.producer.send(record.topic, record.key, record.value, None, None, record.headers)


def _described(letter: OutgoingRecord) -> OutgoingRecord:
    size_bytes = len(letter.key or b"") + len(letter.value or b"")
    logger.error("A dead letter of %d bytes is too large to publish; its headers describe it.", size_bytes)
    return described(letter)
