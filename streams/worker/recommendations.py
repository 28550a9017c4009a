"""Recommendations as they travel on their topic."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from millrace.kernel.contracts import ActivityEvent
from millrace.runtime.records import SourceRecord

# Why a list was not scored by the model, as published in `fallback`.
NO_MODEL = "no_model"
UNAVAILABLE = "scoring_unavailable"
TIMEOUT = "scoring_timeout"
# The model answered, and the user has touched everything it ranked.
NOTHING_LEFT = "nothing_left"


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
    arm: str | None,
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
