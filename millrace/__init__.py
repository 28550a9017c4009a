"""Millrace, a streaming recommender: publish what people do, receive fresh lists.

An app imports everything it needs from here. A name is loaded when it is first used, so `import millrace` alone loads
nothing else. None of the names needs more than the base install.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from millrace.consumers.subscriber import Received, RecommendationSubscriber
    from millrace.kernel.contracts import ActivityEvent, CatalogueItem, Recommendation, RecommendedItem
    from millrace.producers.delivery import Delivered, DeliveryError, Pending
    from millrace.producers.publisher import ActivityPublisher
    from millrace.producers.records import InvalidRecordError, make_event

__version__ = "0.1.0"

__all__ = [
    "ActivityEvent",
    "ActivityPublisher",
    "CatalogueItem",
    "Delivered",
    "DeliveryError",
    "InvalidRecordError",
    "Pending",
    "Received",
    "Recommendation",
    "RecommendationSubscriber",
    "RecommendedItem",
    "make_event",
]

_HOMES = {
    "ActivityEvent": "millrace.kernel.contracts",
    "ActivityPublisher": "millrace.producers.publisher",
    "CatalogueItem": "millrace.kernel.contracts",
    "Delivered": "millrace.producers.delivery",
    "DeliveryError": "millrace.producers.delivery",
    "InvalidRecordError": "millrace.producers.records",
    "Pending": "millrace.producers.delivery",
    "Received": "millrace.consumers.subscriber",
    "Recommendation": "millrace.kernel.contracts",
    "RecommendationSubscriber": "millrace.consumers.subscriber",
    "RecommendedItem": "millrace.kernel.contracts",
    "make_event": "millrace.producers.records",
}


def __getattr__(name: str) -> Any:
    """Load a public name on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'millrace' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
