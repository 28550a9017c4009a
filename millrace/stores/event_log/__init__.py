"""The durable log of every event and item, from which models learn and Redis can be rebuilt."""

from millrace.stores.event_log.opening import create_schema, open_event_log
from millrace.stores.event_log.protocol import (
    DEFAULT_PAGE_SIZE,
    IMPORT_PARTITION,
    AnonymousEvents,
    EventLog,
    LoggedEvent,
    LogPosition,
    LostTailError,
)
from millrace.stores.event_log.waiting import await_event_log

__all__ = [
    "DEFAULT_PAGE_SIZE",
    "IMPORT_PARTITION",
    "AnonymousEvents",
    "EventLog",
    "LogPosition",
    "LoggedEvent",
    "LostTailError",
    "await_event_log",
    "create_schema",
    "open_event_log",
]
