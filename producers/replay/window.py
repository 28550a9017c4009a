"""Which event may be sent next: the pure core of a replay.

In a closed loop a user's next event waits for the list that answers the one before, as a person would; meanwhile other
users go on, but nobody gets further ahead of the oldest waiting event than a window.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush

from millrace.kernel.contracts import ActivityEvent


@dataclass(frozen=True, slots=True)
class Answered:
    """An event whose list has arrived."""

    event: ActivityEvent
    waited_s: float


class ReplayWindow:
    """Hands out events in order; in a closed loop, only events of users who do not wait for a list.

    Args:
        events: All events, in replay order.
        closed_loop: Whether a user's next event waits for the answer to the one before.
        window: How many events may be looked at beyond the oldest one not yet sent.
        max_in_flight: Most unanswered events; only bounds a closed loop.
        deadline_s: An event unanswered for so long no longer holds its user back.
    """

    def __init__(
        self,
        events: Iterator[ActivityEvent],
        *,
        closed_loop: bool,
        window: int = 2000,
        max_in_flight: int = 256,
        deadline_s: float = 5.0,
    ) -> None:
        self._events = events
        self._closed_loop = closed_loop
        self._window = window
        self._max_in_flight = max_in_flight
        self._deadline_s = deadline_s
        self._free: list[tuple[int, ActivityEvent]] = []  # heap by position: may be sent
        self._waiting: dict[str, deque[tuple[int, ActivityEvent]]] = {}  # by busy user
        self._unsent: OrderedDict[int, None] = OrderedDict()  # positions taken from the source
        self._in_flight: OrderedDict[str, tuple[ActivityEvent, float]] = OrderedDict()  # oldest first
        self._taken = 0
        self._exhausted = False
        self.expired_count = 0

    @property
    def in_flight(self) -> int:
        """Events sent and not yet answered or given up."""
        return len(self._in_flight)

    @property
    def finished(self) -> bool:
        """Whether every event was sent and is answered or given up."""
        return self.all_sent and not self._in_flight

    @property
    def all_sent(self) -> bool:
        """Whether nothing is left to send."""
        self._fill()
        return self._exhausted and not self._unsent

    @property
    def position(self) -> int:
        """How many events from the beginning have been sent without a gap."""
        return next(iter(self._unsent), self._taken)

    def next(self) -> ActivityEvent | None:
        """Return the event to send next, or None; `sent` removes it."""
        if self._closed_loop and len(self._in_flight) >= self._max_in_flight:
            return None
        self._fill()
        return self._free[0][1] if self._free else None

    def sent(self, now_s: float) -> int:
        """Note that the event returned by `next` was sent; return its position among all events."""
        position, event = heappop(self._free)
        del self._unsent[position]
        # Two events with one id get one answer: the earlier user must not wait for a second.
        earlier = self._in_flight.pop(event.event_id, None)
        if earlier is not None:
            self._release(earlier[0].user_id)
        self._in_flight[event.event_id] = (event, now_s)
        return position

    def answered(self, event_id: str, now_s: float) -> Answered | None:
        """Note a list; return None for a repeat, an event that was not replayed, or one given up before."""
        entry = self._in_flight.pop(event_id, None)
        if entry is None:
            return None
        event, sent_s = entry
        self._release(event.user_id)
        return Answered(event, now_s - sent_s)

    def expire(self, now_s: float) -> list[ActivityEvent]:
        """Give up events that were sent before the deadline, and return them."""
        expired: list[ActivityEvent] = []
        while self._in_flight:
            event, sent_s = next(iter(self._in_flight.values()))
            if now_s - sent_s < self._deadline_s:
                break
            del self._in_flight[event.event_id]
            self._release(event.user_id)
            expired.append(event)
        self.expired_count += len(expired)
        return expired

    def _fill(self) -> None:
        """Take events from the source while the window has room and users are free."""
        while not self._free and not self._exhausted and self._taken - self.position < self._window:
            event = next(self._events, None)
            if event is None:
                self._exhausted = True
                return
            self._unsent[self._taken] = None
            self._place(self._taken, event)
            self._taken += 1

    def _place(self, position: int, event: ActivityEvent) -> None:
        if not self._closed_loop:
            heappush(self._free, (position, event))
        elif event.user_id in self._waiting:
            self._waiting[event.user_id].append((position, event))
        else:
            self._waiting[event.user_id] = deque()
            heappush(self._free, (position, event))

    def _release(self, user_id: str) -> None:
        """Release the user's next event, or mark the user as free."""
        if not self._closed_loop:
            return
        queue = self._waiting[user_id]
        if queue:
            heappush(self._free, queue.popleft())
        else:
            del self._waiting[user_id]
