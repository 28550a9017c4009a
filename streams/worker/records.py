"""What enters and leaves a batch as bytes: records of the events topic, recommendations, dead letters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import orjson

from millrace.kernel.contracts import ActivityEvent, DeadLetterHeaders, EventPolicy, decode_event
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
    """One record to publish."""

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


def dead_letter(topic: str, record: SourceRecord, poison: PoisonError) -> OutgoingRecord:
    """Return the record untouched, with the reason in its headers."""
    headers = DeadLetterHeaders(
        reason=poison.reason,
        error=str(poison),
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
    )
    return OutgoingRecord(topic, record.key, record.value, headers.to_kafka())


def recommendation_id(record: SourceRecord, event_id: str) -> str:
    """Return the id of the list that answers a record: the same one however often it is made."""
    return f"{record.partition}-{record.offset}-{event_id}"


@dataclass(frozen=True, slots=True)
class PublishedItem:
    """One place of a list as published; see `RecommendedItem`."""

    item_id: str
    score: float
    predicted_rating: float | None
    reason: str
    because_item_id: str | None
    propensity: float | None = None


def encode_recommendation(
    record: SourceRecord,
    event: ActivityEvent,
    generated_ts_ms: int,
    version: str | None,
    arm: str,
    fallback: str | None,
    items: Sequence[PublishedItem],
) -> bytes:
    """Return a `Recommendation` as JSON; built directly, since validating our own output costs more than making it."""
    return orjson.dumps(
        {
            "recommendation_id": recommendation_id(record, event.event_id),
            "user_id": event.user_id,
            "event_id": event.event_id,
            "source_partition": record.partition,
            "source_offset": record.offset,
            "event_ts_ms": event.ts_ms,
            "received_ts_ms": record.timestamp_ms,
            "generated_ts_ms": generated_ts_ms,
            "model_version": version,
            "arm": arm,
            "fallback": fallback,
            "items": [
                {
                    "item_id": item.item_id,
                    "rank": rank,
                    "score": item.score,
                    "predicted_rating": item.predicted_rating,
                    "reason": {"code": item.reason, "item_id": item.because_item_id},
                    "propensity": item.propensity,
                }
                for rank, item in enumerate(items, start=1)
            ],
        }
    )
