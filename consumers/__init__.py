"""Consumers without Faust: the subscriber SDK, the event-log writer, the retrainer, privacy."""

from millrace.consumers.subscriber import Received, RecommendationSubscriber

__all__ = ["Received", "RecommendationSubscriber"]
