"""Kafka records as the roles see them, and the verdict on a record of `events`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from millrace.kernel.contracts import ActivityEvent, EventPolicy, decode_event
from millrace.kernel.errors import PoisonError, Reason


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """One record as it came from Kafka.

    Args:
        topic: Topic name.
        partition: Partition.
        offset: Offset.
        timestamp_ms: The record's timestamp.
        key: Key bytes or None.
        value: Value bytes or None.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class OutgoingRecord:
    """One record to publish; Kafka's clients refuse one with neither key nor value."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]] | None = None


class Publisher(Protocol):
    """Writes to Kafka."""

    async def publish(self, records: Sequence[OutgoingRecord]) -> None:
        """Send all and return once the brokers have acknowledged every one.

        Raises:
            TransientError: Not every record was acknowledged; publish them again.
        """
        ...


@dataclass(frozen=True, slots=True)
class Decoded:
    """A record with its verdict: an event, or the reason why it is none."""

    record: SourceRecord
    event: ActivityEvent | None
    poison: PoisonError | None = None


def decode(record: SourceRecord, policy: EventPolicy) -> Decoded:
    """Validate one record; never raises for a bad one."""
    try:
        return Decoded(record, decode_event(record.value, record.timestamp_ms, policy, record.key))
    except PoisonError as error:
        return Decoded(record, None, error)


def failed(record: SourceRecord, error: Exception) -> Decoded:
    """Return the verdict on a record whose processing raised something unexpected."""
    sentence = f"Processing the event failed unexpectedly ({type(error).__name__}: {error}); the worker's log has more."
    return Decoded(record, None, PoisonError(Reason.PROCESSING_FAILED, sentence))
