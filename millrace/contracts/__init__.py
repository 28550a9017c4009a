"""The records on the topics: one pydantic model each, the single source of truth for every reader and writer."""

from millrace.contracts.dead_letter import DeadLetterHeaders
from millrace.contracts.decode import EventPolicy, decode_event, decode_item
from millrace.contracts.event import ActivityEvent
from millrace.contracts.item import CatalogueItem
from millrace.contracts.recommendation import (
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
