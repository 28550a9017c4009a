"""What sends activity: publisher SDK, MovieLens replay, synthetic streams, dead-letter replay."""

from millrace.producers.delivery import Delivered, DeliveryError, Pending
from millrace.producers.publisher import ActivityPublisher
from millrace.producers.records import InvalidRecordError, make_event

__all__ = ["ActivityPublisher", "Delivered", "DeliveryError", "InvalidRecordError", "Pending", "make_event"]
