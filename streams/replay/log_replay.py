"""Users and statistics recomputed from logged events: pure, in memory.

Workers and keeper progress independently. `LogReplay` recomputes both from the part of the log that both have handled;
from there on, `UserReplay` follows the workers and `StatisticsReplay` the keeper.
"""

from millrace.kernel.contracts import ActivityEvent, EventPolicy
from millrace.kernel.user_state import Applied, ResolvedEvent, UserState, apply_event
from millrace.stores.event_log import AnonymousEvents, LoggedEvent
from millrace.streams.statistics.item_statistics import ItemStatistics


class Recomputation:
    """Users, recomputed by applying one logged event after the other.

    Args:
        policy: What an event without a value is worth.
        users: States to go on from; not modified.
        position: Last offset applied of each partition.

    Attributes:
        users: State by user id.
        position: Last offset applied of each partition.
        events: Events applied, repeated ones not counted.
    """

    def __init__(self, policy: EventPolicy, users: dict[str, UserState], position: dict[int, int]) -> None:
        self.users = dict(users)
        self.position = dict(position)
        self.events = 0
        self._policy = policy

    def apply(self, logged: LoggedEvent, item: int | None) -> None:
        """Apply one event.

        Args:
            logged: The next event in read order.
            item: Its item's dense index, or None where unknown items are refused.
        """
        self.position[logged.partition] = logged.offset
        if item is None:
            return
        event = ResolvedEvent.of(logged.event, item, self._policy)
        before = self.users.get(event.user_id) or UserState(event.user_id)
        applied = apply_event(before, event)
        if applied.duplicate:
            return
        self._take(before, event, applied)
        self.users[event.user_id] = applied.state
        self.events += 1

    def _take(self, before: UserState, event: ResolvedEvent, applied: Applied) -> None:
        """Update what else depends on an event; nothing here."""


class UserReplay(Recomputation):
    """The users as workers hold them."""


class StatisticsReplay(Recomputation):
    """The statistics as the keeper holds them, with the user states that they are learned from.

    Args:
        policy: What an event without a value is worth.
        users: States to go on from; not modified.
        position: Last offset applied of each partition.
        statistics: Statistics to go on from; modified.
    """

    def __init__(
        self, policy: EventPolicy, users: dict[str, UserState], position: dict[int, int], statistics: ItemStatistics
    ) -> None:
        super().__init__(policy, users, position)
        self.statistics = statistics

    def _take(self, before: UserState, event: ResolvedEvent, applied: Applied) -> None:
        self.statistics.update(before, event.item, event.value, event.ts_ms, event.weight)


class LogReplay(StatisticsReplay):
    """Users and statistics from the beginning of the log.

    Args:
        policy: What an event without a value is worth.
        neighbours_per_item: Most neighbours of an item, as the keeper is configured.
    """

    def __init__(self, policy: EventPolicy, neighbours_per_item: int) -> None:
        super().__init__(policy, {}, {}, ItemStatistics(neighbours_per_item))

    def count_anonymous(self, left: AnonymousEvents, item: int | None) -> None:
        """Count the events of forgotten users: they raise counts and popularity, and link no items.

        Args:
            left: Events of one item. Count them before any other event, so that the order is the same each time.
            item: The item's dense index, or None where unknown items are refused.
        """
        if item is None:
            return
        event = ActivityEvent(
            event_id="-", user_id="-", item_id=left.item_id, type=left.type, value=left.value, ts_ms=1
        )
        resolved = ResolvedEvent.of(event, item, self._policy)
        nobody = UserState("")
        for _ in range(left.events):
            self.statistics.update(nobody, item, resolved.value, 0, resolved.weight)

    def split(self) -> tuple[UserReplay, StatisticsReplay]:
        """Return a replay of the users and one of the statistics; each goes on from here by itself."""
        users = UserReplay(self._policy, self.users, self.position)
        return users, StatisticsReplay(self._policy, self.users, self.position, self.statistics)
