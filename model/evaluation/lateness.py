"""Delayed learning, like that of a worker whose statistics cache is refreshed now and then."""

from collections import deque
from collections.abc import Callable

from millrace.kernel.user_state import ResolvedEvent, UserState


class Lateness:
    """Holds events back until they are old enough to be learned.

    Args:
        learn: Learns an event; gets the user's state before it, too.
        lag_s: Seconds by which learning is late.
        rate: Events per second that convert `lag_s` into a number of events; None uses event times.
    """

    def __init__(self, learn: Callable[[UserState, ResolvedEvent], None], lag_s: float, rate: float | None) -> None:
        self._learn = learn
        self._lag_events = round(lag_s * rate) if rate is not None else 0
        self._lag_ms = lag_s * 1000.0 if rate is None else 0.0
        self._waiting: deque[tuple[UserState, ResolvedEvent]] = deque()

    def learn(self, before: UserState, event: ResolvedEvent) -> None:
        """Queue an event, and learn the queued events that are old enough."""
        self._waiting.append((before, event))
        while self._waiting and self._ripe(event.ts_ms):
            self._learn(*self._waiting.popleft())

    def _ripe(self, now_ms: int) -> bool:
        return len(self._waiting) > self._lag_events and now_ms - self._waiting[0][1].ts_ms >= self._lag_ms
