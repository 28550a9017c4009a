"""What reads the topics outside Faust: the recommendation subscriber SDK, the event-log writer, the retrainer."""

from millrace.consumers.subscriber import Received, RecommendationSubscriber

__all__ = ["Received", "RecommendationSubscriber"]
