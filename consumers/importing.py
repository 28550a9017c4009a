"""Importing history that was never streamed into the event log."""

from collections.abc import Callable, Iterable

from millrace.kernel.contracts import ActivityEvent, CatalogueItem
from millrace.kernel.errors import ConfigurationError
from millrace.kernel.parts import in_parts
from millrace.stores.event_log import IMPORT_PARTITION, EventLog, LoggedEvent

_EVENTS_PER_WRITE = 5000


def import_history(
    log: EventLog,
    items: list[CatalogueItem],
    events: Iterable[ActivityEvent],
    on_progress: Callable[[int], None] = lambda done: None,
) -> int:
    """Write items and events as imported history; doing it again changes nothing.

    Args:
        log: Where to write.
        items: Upserted first, in order: they get their dense indexes in this order.
        events: In time order. Their own time also counts as their time of arrival.
        on_progress: Called with the number of events written so far.

    Returns:
        How many events the log did not have before.

    Raises:
        ConfigurationError: The log already holds another import.
        TransientError: The log cannot be written; start again.
    """
    log.upsert_items(items)
    before = log.count()
    numbered = (LoggedEvent(IMPORT_PARTITION, offset, event.ts_ms, event) for offset, event in enumerate(events))
    for batch in in_parts(numbered, _EVENTS_PER_WRITE):
        _check_same(log, batch[0])
        log.append(batch)
        on_progress(batch[-1].offset + 1)
    return log.count() - before


def _check_same(log: EventLog, event: LoggedEvent) -> None:
    """Refuse a second, different import: the events of both would be mixed in no order.

    Raises:
        ConfigurationError: Another event is logged in this place.
    """
    there = log.at(event.partition, event.offset)
    if there is not None and there != event:
        raise ConfigurationError(
            f"The event log already holds another import (its event {event.offset} is {there.event.event_id!r}, "
            f"not {event.event.event_id!r}); name another log with MILLRACE_EVENT_LOG, or move this one away."
        )
