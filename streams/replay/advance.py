"""Moving a replay along the event log, to its end or to given offsets."""

from collections.abc import Callable, Mapping, Sequence

from millrace.stores.event_log import EventLog, LoggedEvent
from millrace.streams.replay.indexes import ItemIndexes
from millrace.streams.replay.log_replay import LogReplay, Recomputation

# Called with the number of events read and their total.
Progress = Callable[[int, int], None]


async def advance(
    log: EventLog,
    replay: Recomputation,
    indexes: ItemIndexes,
    until: Mapping[int, int] | None = None,
    on_page: Callable[[Sequence[LoggedEvent]], None] = lambda page: None,
) -> None:
    """Apply the logged events behind the replay's position.

    Args:
        log: Event log; reading blocks this thread.
        replay: Moved forward.
        indexes: Dense indexes of the items.
        until: Partition -> last offset to apply; partitions not named are skipped. None applies everything logged.
        on_page: Called with each page of events after it is applied.

    Raises:
        TransientError: Redis or the log does not answer.
    """
    for page in log.read(replay.position, until=until):
        await indexes.ask(logged.event.item_id for logged in page)
        for logged in page:
            replay.apply(logged, indexes.get(logged.event.item_id))
        on_page(page)


async def begin(log: EventLog, replay: LogReplay, indexes: ItemIndexes) -> int:
    """Count the events of forgotten users, before all other events; returns how many there were.

    Raises:
        TransientError: Redis or the log does not answer.
    """
    left = log.forgotten()
    await indexes.ask(each.item_id for each in left)
    for each in left:
        replay.count_anonymous(each, indexes.get(each.item_id))
    return sum(each.events for each in left)
