"""The expected state of users, recomputed from published events without any serving code."""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from millrace.kernel.contracts import ActivityEvent
from millrace.load_tests.recovery.ledger import Place

# As promised in docs/explanation/architecture.md.
HISTORY_LENGTH = 200
REMEMBERED_EVENTS = 200


@dataclass(slots=True)
class ExpectedUser:
    """One user.

    Args:
        count: Events applied.
        value_sum: Sum of their values.
        history: Newest 200 (item_id, value, ts_ms), newest first; of equal times the one that came last.
        touched: Item ids in order of first touch.
        remembered: The newest 200 event ids.
    """

    count: int = 0
    value_sum: float = 0.0
    history: list[tuple[str, float, int]] = field(default_factory=list)
    touched: dict[str, None] = field(default_factory=dict)
    remembered: deque[str] = field(default_factory=lambda: deque(maxlen=REMEMBERED_EVENTS))


class Expected:
    """The state after everything applied so far, each event id once and in the order of its partition."""

    def __init__(self) -> None:
        self.users: dict[str, ExpectedUser] = {}
        self.items: Counter[str] = Counter()
        self.applied = 0
        self.repeated = 0

    def apply(self, events: Iterable[tuple[Place, ActivityEvent]]) -> set[str]:
        """Apply events, offsets growing within a partition; returns the users they belong to."""
        users = set()
        for _, event in events:
            users.add(event.user_id)
            self._apply(self.users.setdefault(event.user_id, ExpectedUser()), event)
        return users

    def _apply(self, user: ExpectedUser, event: ActivityEvent) -> None:
        if event.event_id in user.remembered:
            self.repeated += 1
            return
        if event.value is None:
            raise ValueError(f"The load holds ratings only, but {event.event_id} has no value.")
        self.applied += 1
        self.items[event.item_id] += 1
        user.remembered.append(event.event_id)
        user.count += 1
        user.value_sum += event.value
        user.touched.setdefault(event.item_id)
        entry = (event.item_id, event.value, event.ts_ms)
        place = next((n for n, known in enumerate(user.history) if known[2] <= event.ts_ms), len(user.history))
        user.history.insert(place, entry)
        del user.history[HISTORY_LENGTH:]
