"""How often what is learned anew."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rhythm:
    """The two speeds of learning.

    Args:
        ranker_events: Events between two refreshes of fusion and re-ranker.
        encoder_growth: The encoder is refreshed when the log has grown by this share since the last time.
    """

    ranker_events: int = 500
    encoder_growth: float = 0.1

    def ranker_due(self, events: int, last: int) -> bool:
        """Tell whether the ranker is due at `events` events if it was last refreshed at `last`."""
        return events - last >= self.ranker_events

    def encoder_due(self, events: int, last: int) -> bool:
        """Tell whether the encoder is due at `events` events if it was last refreshed at `last`."""
        return events - last >= max(self.encoder_growth * last, self.ranker_events)
