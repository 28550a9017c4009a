"""When to train: pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """What starts a training besides a request.

    Args:
        every_s: Seconds between the starts of two trainings; None for no clock.
        every_events: New events in the log; None for no count.
    """

    every_s: float | None = None
    every_events: int | None = None

    def due(self, since_last_s: float, new_events: int) -> str | None:
        """Return why it is time to train, or None.

        Args:
            since_last_s: Seconds since the last training was started, or since the retrainer was.
            new_events: Events that the serving version has not learned.
        """
        if new_events <= 0:
            return None
        if self.every_events is not None and new_events >= self.every_events:
            return f"{new_events} new events"
        if self.every_s is not None and since_last_s >= self.every_s:
            return f"{self.every_s:g} s have passed"
        return None
