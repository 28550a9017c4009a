"""Moving a replay along the event log, to its end or to given offsets."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from millrace.stores.event_log import EventLog, LoggedEvent
from millrace.streams.replay.indexes import ItemIndexes
from millrace.streams.replay.log_replay import LogReplay

# Called with the number of events read and their total.
Progress = Callable[[int, int], None]


class Replay(Protocol):
    """What is moved."""

    @property
    def position(self) -> dict[int, int]:
        """Last offset applied of each partition."""
        ...

    def apply(self, logged: LoggedEvent, item: int | None) -> None:
        """Apply the next event."""
        ...


async def advance(
    log: EventLog,
    replay: Replay,
    indexes: ItemIndexes,
    until: Mapping[int, int] | None = None,
    on_page: Callable[[Sequence[LoggedEvent]], None] = lambda page: None,
) -> None:
    """Apply what follows the replay's position.

    Args:
        log: Read from, while nothing else runs in this thread.
        replay: Moved.
        indexes: Of the items.
        until: Last offset to apply of each partition, none of the others; without it all that is logged.
        on_page: Called with each page, once it is applied.

    Raises:
        TransientError: Redis or the log does not answer.
    """
    for page in log.read(replay.position, until=until):
        await indexes.ask(logged.event.item_id for logged in page)
        for logged in page:
            replay.apply(logged, indexes.get(logged.event.item_id))
        on_page(page)


async def begin(log: EventLog, replay: LogReplay, indexes: ItemIndexes) -> int:
    """Count what is left of forgotten events, before all others; returns how many these were.

    Raises:
        TransientError: Redis or the log does not answer.
    """
    left = log.forgotten()
    await indexes.ask(each.item_id for each in left)
    for each in left:
        replay.count_anonymous(each, indexes.get(each.item_id))
    return sum(each.events for each in left)
