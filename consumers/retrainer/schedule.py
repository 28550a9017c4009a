"""When to train: pure."""

import re
from dataclasses import dataclass

from millrace.errors import ConfigurationError

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd])")


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


def parse_duration(text: str) -> float:
    """Return the seconds of `90s`, `10m`, `1.5h` or `1d`.

    Raises:
        ConfigurationError: It is nothing of the kind, or zero.
    """
    match = _DURATION.fullmatch(text.strip())
    seconds = float(match[1]) * _SECONDS[match[2]] if match else 0.0
    if seconds <= 0:
        raise ConfigurationError(f"{text!r} is not a duration; write for example 90s, 10m or 2h.")
    return seconds
