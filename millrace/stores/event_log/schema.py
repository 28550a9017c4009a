"""The tables of the SQLite event log and how its rows become records; readable with the `sqlite3` command."""

import json
from typing import Any

from millrace.kernel.contracts import ActivityEvent, CatalogueItem
from millrace.stores.event_log.protocol import LoggedEvent

SCHEMA_VERSION = 2

# Clustered by coordinates: a partition is read in order of its offsets without any other index.
SCHEMA = (
    """
    CREATE TABLE IF NOT EXISTS events (
        partition INTEGER NOT NULL,
        "offset" INTEGER NOT NULL,
        received_ts_ms INTEGER NOT NULL,
        event_id TEXT NOT NULL,
        user_id TEXT NOT NULL,
        item_id TEXT NOT NULL,
        type TEXT NOT NULL,
        value REAL,
        ts_ms INTEGER NOT NULL,
        context TEXT,
        PRIMARY KEY (partition, "offset")
    ) WITHOUT ROWID
    """,
    "CREATE INDEX IF NOT EXISTS events_by_user ON events (user_id, ts_ms)",
    """
    CREATE TABLE IF NOT EXISTS items (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        item_id TEXT NOT NULL UNIQUE,
        title TEXT NOT NULL,
        genres TEXT NOT NULL,
        year INTEGER,
        available INTEGER NOT NULL,
        attributes TEXT
    )
    """,
    # Since version 2: anonymous counts of forgotten events; an event without a value counts under the value 0.
    """
    CREATE TABLE IF NOT EXISTS forgotten (
        item_id TEXT NOT NULL,
        type TEXT NOT NULL,
        value REAL NOT NULL,
        events INTEGER NOT NULL,
        PRIMARY KEY (item_id, type, value)
    ) WITHOUT ROWID
    """,
)

EVENT_COLUMNS = 'partition, "offset", received_ts_ms, event_id, user_id, item_id, type, value, ts_ms, context'
INSERT_EVENT = f"INSERT OR IGNORE INTO events ({EVENT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - constants

# A forgotten event keeps only its coordinates, so that nothing is written there again.
IS_EVENT = "type <> ''"
KEEP_ANONYMOUSLY = """
    INSERT INTO forgotten (item_id, type, value, events) VALUES (?, ?, ?, 1)
    ON CONFLICT (item_id, type, value) DO UPDATE SET events = events + 1
"""
FORGET_EVENT = f"""
    UPDATE events SET received_ts_ms = 0, event_id = '', user_id = '', item_id = '', type = '', value = NULL, ts_ms = 0,
        context = NULL
    WHERE partition = ? AND "offset" = ? AND {IS_EVENT}
"""  # noqa: S608 - constants
READ_FORGOTTEN = "SELECT item_id, type, nullif(value, 0), events FROM forgotten ORDER BY item_id, type, value"

ITEM_COLUMNS = "item_id, title, genres, year, available, attributes"
# An item keeps the place of its first write; the newest write replaces everything else.
UPSERT_ITEM = f"""
    INSERT INTO items ({ITEM_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (item_id) DO UPDATE SET title = excluded.title, genres = excluded.genres, year = excluded.year,
        available = excluded.available, attributes = excluded.attributes
"""  # noqa: S608 - constants

EventRow = tuple[int, int, int, str, str, str, str, float | None, int, str | None]
ItemRow = tuple[str, str, str, int | None, int, str | None]

_event = ActivityEvent.__pydantic_validator__.validate_python


def event_row(logged: LoggedEvent) -> EventRow:
    """Return the row of one event."""
    event = logged.event
    context = None if event.context is None else _json(event.context)
    return (
        logged.partition,
        logged.offset,
        logged.received_ts_ms,
        event.event_id,
        event.user_id,
        event.item_id,
        event.type,
        event.value,
        event.ts_ms,
        context,
    )


def logged_event(row: EventRow) -> LoggedEvent:
    """Return the event of one row."""
    partition, offset, received_ts_ms, event_id, user_id, item_id, kind, value, ts_ms, context = row
    event: ActivityEvent = _event(
        {
            "event_id": event_id,
            "user_id": user_id,
            "item_id": item_id,
            "type": kind,
            "value": value,
            "ts_ms": ts_ms,
            "context": None if context is None else json.loads(context),
        }
    )
    return LoggedEvent(partition, offset, received_ts_ms, event)


def item_row(item: CatalogueItem) -> ItemRow:
    """Return the row of one item."""
    attributes = None if item.attributes is None else _json(item.attributes)
    return item.item_id, item.title, _json(list(item.genres)), item.year, int(item.available), attributes


def catalogue_item(row: ItemRow) -> CatalogueItem:
    """Return the item of one row."""
    item_id, title, genres, year, available, attributes = row
    return CatalogueItem(
        item_id=item_id,
        title=title,
        genres=tuple(json.loads(genres)),
        year=year,
        available=bool(available),
        attributes=None if attributes is None else json.loads(attributes),
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
