"""The records on the topics: one pydantic model each, the single source of truth for every reader and writer."""

from millrace.kernel.contracts.dead_letter import DeadLetterHeaders
from millrace.kernel.contracts.decode import EventPolicy, decode_event, decode_item
from millrace.kernel.contracts.event import ActivityEvent
from millrace.kernel.contracts.item import CatalogueItem
from millrace.kernel.contracts.recommendation import (
    ReasonCode,
    Recommendation,
    RecommendationReason,
    RecommendedItem,
)

__all__ = [
    "ActivityEvent",
    "CatalogueItem",
    "DeadLetterHeaders",
    "EventPolicy",
    "ReasonCode",
    "Recommendation",
    "RecommendationReason",
    "RecommendedItem",
    "decode_event",
    "decode_item",
]
