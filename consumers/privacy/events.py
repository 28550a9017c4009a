"""A user's events in the order in which workers apply them."""

from collections.abc import Sequence

from millrace.kernel.contracts import EventPolicy
from millrace.kernel.user_state import ResolvedEvent, UserState, apply_event
from millrace.stores.event_log import EventLog, LoggedEvent

_ALL = (1 << 31) - 1
# Whether an event is a repetition does not depend on its item.
_ANY_ITEM = 1


def events_of(log: EventLog, user_id: str) -> list[LoggedEvent]:
    """Return all events of a user, each partition in order of its offsets."""
    return sorted(log.user_history(user_id, _ALL), key=lambda each: (each.partition, each.offset))


def repeated(events: Sequence[LoggedEvent], policy: EventPolicy) -> set[tuple[int, int]]:
    """Return partition and offset of the events that changed nothing, since they repeat earlier ones."""
    state, found = UserState(""), set()
    for each in events:
        applied = apply_event(state, ResolvedEvent.of(each.event, _ANY_ITEM, policy))
        if applied.duplicate:
            found.add((each.partition, each.offset))
        state = applied.state
    return found
