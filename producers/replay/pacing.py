"""Decides how many events are due: pure schedules over a clock that the caller reads."""

from dataclasses import dataclass
from typing import Protocol

# After a stall a capped replay catches up by at most this much: more would be a burst far above the rate.
_MAX_BURST_S = 0.05


class Pacer(Protocol):
    """A schedule: how long the next event has to wait."""

    def wait_s(self, now_s: float, event_ts_ms: int) -> float:
        """Return the seconds until the event is due; 0 or less when it is."""

    def sent(self, now_s: float) -> None:
        """Note that one event was sent."""


@dataclass(slots=True)
class Unpaced:
    """No schedule: every event is due at once."""

    def wait_s(self, now_s: float, event_ts_ms: int) -> float:
        """Return 0: every event is due."""
        return 0.0

    def sent(self, now_s: float) -> None:
        """Do nothing: no schedule to advance."""


class FixedRate:
    """Event n is due n / rate seconds after the first: an absolute schedule, so delays do not add up.

    Args:
        per_s: Events per second.
        catch_up: Whether events late after a stall are sent at once; otherwise the schedule shifts: a cap.
    """

    def __init__(self, per_s: float, *, catch_up: bool = True) -> None:
        self._interval_s = 1.0 / per_s
        self._catch_up = catch_up
        self._due_s: float | None = None

    def wait_s(self, now_s: float, event_ts_ms: int) -> float:
        """Return the seconds until the next event is due."""
        return 0.0 if self._due_s is None else self._due_s - now_s

    def sent(self, now_s: float) -> None:
        """Advance the schedule by one event."""
        due_s = now_s if self._due_s is None else self._due_s
        if not self._catch_up:
            due_s = max(due_s, now_s - _MAX_BURST_S)
        self._due_s = due_s + self._interval_s


class RecordedSpeed:
    """Event time runs `speed` times as fast as the clock, from the first event on.

    Args:
        speed: 1 is real time, 10000 a recorded year in 53 minutes.
    """

    def __init__(self, speed: float) -> None:
        self._ms_per_s = speed * 1000.0
        self._start: tuple[float, int] | None = None

    def wait_s(self, now_s: float, event_ts_ms: int) -> float:
        """Return the seconds until event time has reached this event."""
        if self._start is None:
            self._start = (now_s, event_ts_ms)
        start_s, start_ts_ms = self._start
        return start_s + (event_ts_ms - start_ts_ms) / self._ms_per_s - now_s

    def sent(self, now_s: float) -> None:
        """Do nothing: the schedule depends on event time alone."""
