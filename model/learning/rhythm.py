"""How often each part of the model is refreshed."""

from dataclasses import dataclass

# Fewest events for a first model.
LEAST_EVENTS = 200
# The newest part of a log teaches the first ranker: the encoder that it listens to must not have seen its targets.
_FIRST_MOMENTS_SHARE = 0.2
_FIRST_MOMENTS = (1_000, 7_000)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """The two refresh intervals.

    Args:
        ranker_events: Events between two refreshes of fusion and re-ranker.
        encoder_growth: The encoder is refreshed when the log has grown by this share since the last time.
    """

    ranker_events: int = 500
    encoder_growth: float = 0.1

    def ranker_due(self, events: int, last: int) -> bool:
        """Return whether the ranker is due at `events` events, last refreshed at `last`."""
        return events - last >= self.ranker_events

    def encoder_due(self, events: int, last: int) -> bool:
        """Return whether the encoder is due at `events` events, last refreshed at `last`."""
        return events - last >= max(self.encoder_growth * last, self.ranker_events)


def first_moments(events: int) -> int:
    """Return the row of a log from which the first ranker learns; the encoder learns what lies before it."""
    least, most = _FIRST_MOMENTS
    wanted = min(max(round(events * _FIRST_MOMENTS_SHARE), least), most)
    return events - min(wanted, events // 2)
