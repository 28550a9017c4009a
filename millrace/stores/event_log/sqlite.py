"""The event log in one SQLite file: one writer, any number of readers in other processes (WAL)."""

import heapq
import sqlite3
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any

from millrace.kernel.contracts import CatalogueItem
from millrace.kernel.errors import ConfigurationError, TransientError
from millrace.stores.event_log.protocol import (
    DEFAULT_PAGE_SIZE,
    IMPORT_PARTITION,
    AnonymousEvents,
    LoggedEvent,
    LogPosition,
    ends_within,
)
from millrace.stores.event_log.schema import (
    EVENT_COLUMNS,
    FORGET_EVENT,
    INSERT_EVENT,
    IS_EVENT,
    ITEM_COLUMNS,
    KEEP_ANONYMOUSLY,
    READ_FORGOTTEN,
    SCHEMA,
    SCHEMA_VERSION,
    UPSERT_ITEM,
    EventRow,
    catalogue_item,
    event_row,
    item_row,
    logged_event,
)

# A writer waits this long for another one (an import beside the log writer) before it reports.
BUSY_TIMEOUT_S = 10.0
_BEFORE_ALL = -1


class SqliteEventLog:
    """An `EventLog` in the file at `path`, created with its folder where it does not exist.

    One object may be used by several threads; calls are serialised.

    Args:
        path: The database file.
        busy_timeout_s: How long a call waits for another process's write.

    Raises:
        ConfigurationError: The path cannot be a database, or was written by another version.
        TransientError: The file is locked, or there is no space left.
    """

    def __init__(self, path: Path, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._connection = self._connect(busy_timeout_s)
        try:
            self._create()
        except BaseException:
            self._connection.close()
            raise

    def append(self, events: Sequence[LoggedEvent]) -> None:
        """Write durably, in one transaction."""
        with self._transaction() as connection:
            connection.executemany(INSERT_EVENT, map(event_row, events))

    def upsert_items(self, items: Sequence[CatalogueItem]) -> None:
        """Write items, in one transaction."""
        with self._transaction() as connection:
            connection.executemany(UPSERT_ITEM, map(item_row, items))

    def read(
        self,
        after: LogPosition,
        limit: int | None = None,
        page_size: int = DEFAULT_PAGE_SIZE,
        until: LogPosition | None = None,
    ) -> Iterator[list[LoggedEvent]]:
        """Yield pages of the events after a position in read order."""
        rows: Iterator[EventRow] = islice(self._rows(after, ends_within(self.end(), until), page_size), limit)
        while page := [logged_event(row) for row in islice(rows, page_size)]:
            yield page

    def at(self, partition: int, offset: int) -> LoggedEvent | None:
        """Return the event under these coordinates, if it is logged."""
        rows = self._query(
            f'SELECT {EVENT_COLUMNS} FROM events WHERE partition = ? AND "offset" = ? AND {IS_EVENT}',  # noqa: S608
            (partition, offset),
        )
        return logged_event(rows[0]) if rows else None

    def items(self) -> Iterator[list[CatalogueItem]]:
        """Yield all items in pages, in order of first write."""
        last = 0
        while rows := self._query(
            f"SELECT sequence, {ITEM_COLUMNS} FROM items WHERE sequence > ? ORDER BY sequence LIMIT ?",  # noqa: S608
            (last, DEFAULT_PAGE_SIZE),
        ):
            last = rows[-1][0]
            yield [catalogue_item(row[1:]) for row in rows]

    def count(self, after: LogPosition | None = None) -> int:
        """Return how many events lie after a position (all without one)."""
        position = after or {}
        counts = (
            self._query(
                'SELECT count(*) FROM events WHERE partition = ? AND "offset" > ?',
                (partition, position.get(partition, _BEFORE_ALL)),
            )[0][0]
            for partition in self.end()
        )
        return sum(counts)

    def end(self) -> dict[int, int]:
        """Return the last offset of every partition."""
        # One step through the index per partition; max() grouped by partition would scan every row.
        ends: dict[int, int] = {}
        partition = IMPORT_PARTITION - 1
        while rows := self._query(
            'SELECT partition, max("offset") FROM events'
            " WHERE partition = (SELECT min(partition) FROM events WHERE partition > ?) GROUP BY partition",
            (partition,),
        ):
            partition, ends[rows[0][0]] = rows[0]
        return ends

    def user_history(self, user_id: str, limit: int = 200) -> list[LoggedEvent]:
        """Return a user's newest events by event time, newest first."""
        rows = self._query(
            f"SELECT {EVENT_COLUMNS} FROM events WHERE user_id = ? AND {IS_EVENT}"  # noqa: S608 - constants
            ' ORDER BY ts_ms DESC, partition DESC, "offset" DESC LIMIT ?',
            (user_id, limit),
        )
        return [logged_event(row) for row in rows]

    def gaps(self) -> dict[int, list[tuple[int, int]]]:
        """Return per partition the missing ranges [first, last] of offsets below its end."""
        rows = self._query(
            'SELECT partition, previous + 1, "offset" - 1 FROM (SELECT partition, "offset",'
            ' lag("offset", 1, -1) OVER (PARTITION BY partition ORDER BY "offset") AS previous FROM events)'
            ' WHERE "offset" > previous + 1 ORDER BY partition, "offset"',
        )
        found: dict[int, list[tuple[int, int]]] = {}
        for partition, first, last in rows:
            found.setdefault(partition, []).append((first, last))
        return found

    def forget(self, events: Sequence[LoggedEvent], repeated: Collection[tuple[int, int]] = ()) -> int:
        """Remove a person's events for good, in one transaction, and return how many there were.

        Raises:
            TransientError: The file is locked or full; or the events are removed, but another program that reads on
                keeps copies in the write-ahead log. Forget again, even if nothing is left to remove.
        """
        with self._transaction() as connection:
            places = [(each.partition, each.offset) for each in events]
            there = [connection.execute(FORGET_EVENT, place).rowcount for place in places]
            left = [
                each.event
                for each, place, is_there in zip(events, places, there, strict=True)
                if is_there and place not in repeated
            ]
            connection.executemany(KEEP_ANONYMOUSLY, [(one.item_id, one.type, one.value or 0.0) for one in left])
        self._cut_write_ahead_log()
        return sum(there)

    def forgotten(self) -> list[AnonymousEvents]:
        """Return what is left of all forgotten events."""
        return [AnonymousEvents(*row) for row in self._query(READ_FORGOTTEN)]

    def archive(self) -> int:
        """Move every streamed event behind the imported ones, in read order, and return how many."""
        with self._transaction() as connection:
            ends = self.end()
            imported = ends.get(IMPORT_PARTITION, _BEFORE_ALL)
            streamed = self._rows({IMPORT_PARTITION: imported}, ends, DEFAULT_PAGE_SIZE)
            moves = [(imported + place, row[0], row[1]) for place, row in enumerate(streamed, start=1)]
            connection.executemany(
                f'UPDATE events SET partition = {IMPORT_PARTITION}, "offset" = ?'  # noqa: S608 - constants
                ' WHERE partition = ? AND "offset" = ?',
                moves,
            )
            # What remains are coordinates of forgotten events, in a topic that no longer exists.
            connection.execute(f"DELETE FROM events WHERE partition <> {IMPORT_PARTITION}")  # noqa: S608 - constants
        return len(moves)

    def close(self) -> None:
        """Release the connection."""
        with self._lock:
            self._connection.close()

    def _rows(self, after: LogPosition, ends: dict[int, int], page_size: int) -> Iterator[EventRow]:
        """Yield rows after a position and up to `ends`: imported ones, then the partitions merged by received time."""
        parts = {
            partition: self._partition(partition, after.get(partition, _BEFORE_ALL), end, page_size)
            for partition, end in ends.items()
        }
        imported = parts.pop(IMPORT_PARTITION, iter(()))
        return chain(imported, heapq.merge(*parts.values(), key=_merge_key))

    def _partition(self, partition: int, after: int, end: int, page_size: int) -> Iterator[EventRow]:
        """Yield one partition's rows in (after, end]; no statement stays open between pages."""
        while rows := self._query(
            f'SELECT {EVENT_COLUMNS} FROM events WHERE partition = ? AND "offset" > ? AND "offset" <= ?'  # noqa: S608
            f' AND {IS_EVENT} ORDER BY "offset" LIMIT ?',
            (partition, after, end, page_size),
        ):
            after = rows[-1][1]
            yield from rows

    def _cut_write_ahead_log(self) -> None:
        """Write the write-ahead log back and cut it: until then it holds older pages.

        SQLite waits for readers as long as for a writer; Millrace's own read a page and let go.

        Raises:
            TransientError: Another process holds the file for longer.
        """
        ((busy, _, _),) = self._query("PRAGMA wal_checkpoint(TRUNCATE)")
        if busy:
            raise TransientError(
                f"What was removed from the event log {self._path} is still in the file beside it that ends in -wal, "
                "since another program keeps the file busy; end that program and forget again."
            )

    def _query(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        with self._lock, self._translated("read"):
            return self._connection.execute(sql, parameters).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Run the block in one transaction."""
        with self._lock, self._translated("write"):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                # A full disk has rolled back by itself; a second rollback would hide the reason.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        """Turn SQLite's errors into Millrace's."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise TransientError(
                f"The event log {self._path} could not {what} ({error}); "
                "check the disk's free space and that nobody holds the file locked."
            ) from error
        except sqlite3.DatabaseError as error:
            raise ConfigurationError(
                f"The event log {self._path} is unusable ({error}); move the file away or name another one."
            ) from error

    def _connect(self, busy_timeout_s: float) -> sqlite3.Connection:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            return sqlite3.connect(
                self._path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False, cached_statements=64
            )
        except (OSError, sqlite3.OperationalError) as error:
            raise ConfigurationError(
                f"The event log {self._path} cannot be opened ({error}); check MILLRACE_EVENT_LOG and its folder."
            ) from error

    def _create(self) -> None:
        with self._translated("open"):
            self._connection.execute("PRAGMA journal_mode = WAL")
            # Offsets are committed to Kafka after a write, so a write has to survive a power cut.
            self._connection.execute("PRAGMA synchronous = FULL")
            # Deleted rows are overwritten, not only marked as free.
            self._connection.execute("PRAGMA secure_delete = ON")
        version = self._query("PRAGMA user_version")[0][0]
        if version == SCHEMA_VERSION:
            return
        if version > SCHEMA_VERSION:
            raise ConfigurationError(
                f"The event log {self._path} has format {version}, this version writes {SCHEMA_VERSION}; "
                "name another file with MILLRACE_EVENT_LOG."
            )
        with self._transaction() as connection:
            for statement in SCHEMA:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _merge_key(row: EventRow) -> tuple[int, int]:
    return row[2], row[0]
