"""The event log in Cassandra: one writer for each partition, any number of readers.

What makes a write durable and complete at once is its last step: `ends` moves on only when every row of the batch is
confirmed. Readers look no further than that, and a writer that is killed in between goes on from there, writing some
rows a second time, which changes nothing.
"""

import heapq
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

from millrace.kernel.contracts import CatalogueItem
from millrace.kernel.settings import Settings
from millrace.stores.event_log.cassandra_address import CassandraAddress, parse_address
from millrace.stores.event_log.cassandra_rows import (
    DELETED_US,
    FORGOTTEN,
    FORGOTTEN_BUCKETS,
    ITEM_BUCKETS,
    EventRow,
    WriteTimes,
    block_of,
    bounds_of,
    catalogue_item,
    logged_event,
)
from millrace.stores.event_log.cassandra_schema import require_schema
from millrace.stores.event_log.cassandra_session import Requests, consistency_of, local_nodes, open_cluster, translating
from millrace.stores.event_log.cassandra_statements import Statements
from millrace.stores.event_log.cassandra_writes import IMPORTED, BlockKey, TimeOf, Writes
from millrace.stores.event_log.protocol import (
    DEFAULT_PAGE_SIZE,
    IMPORT_PARTITION,
    AnonymousEvents,
    LoggedEvent,
    LogPosition,
    LostTailError,
    ends_within,
)

_ARCHIVE_EVENTS = 2000
# Cassandra warns of a logged batch above 5 kB and refuses one above 50 kB; an event's three rows are some 500 bytes.
_FORGET_EVENTS = 10
_FIRST_GENERATION = 1
_BEFORE_ALL = -1
# The largest offset Kafka can give.
_LAST_OFFSET = (1 << 63) - 1


class CassandraEventLog:
    """An `EventLog` in Cassandra; the tables must be there (`millrace log-schema`).

    Several threads may use one object. Make it after a fork, not before.

    Args:
        settings: Address, login, consistency, and the topic after which the log is named.

    Raises:
        ConfigurationError: The address or the CA file is unusable, the login refused, or the tables are missing.
        TransientError: Cassandra does not answer, or no host has an address.
    """

    def __init__(self, settings: Settings) -> None:
        self._address: CassandraAddress = parse_address(settings.event_log_url)
        self._name = settings.topics.events
        self._times = WriteTimes()
        self._known_blocks: set[BlockKey] = set()
        # Generation and partition -> end, as last confirmed by this object.
        self._confirmed: dict[tuple[int, int], int] = {}
        self._cluster = open_cluster(settings, self._address)
        try:
            with translating(f"connecting to {self._address}"):
                self._connect(settings)
        except BaseException:
            self._cluster.shutdown()
            raise

    def _connect(self, settings: Settings) -> None:
        session = self._cluster.connect()
        require_schema(session, self._address)
        level = consistency_of(settings, local_nodes(self._cluster, self._address))
        self._statements = Statements(session, self._address.keyspace, level)
        self._requests = Requests(session)
        self._writes = Writes(self._statements, self._name, self._read_generation())

    def append(self, events: Sequence[LoggedEvent]) -> None:
        """Write durably: all rows side by side, then the new ends."""
        if not events:
            return
        first = {(each.partition, each.offset): each for each in reversed(events)}
        unique = [first[place] for place in sorted(first)]
        before = self.end()
        self._require_confirmed(before)
        fresh_us, late_us = self._times.fresh_us(), self._times.late_us()
        late = [each for each in unique if each.offset <= before.get(each.partition, _BEFORE_ALL)]
        late_us_of = dict.fromkeys(map(_place, late), late_us)
        self._write_rows(unique, lambda each: late_us_of.get(_place(each), fresh_us), (), "writing events")
        ends = {each.partition: each.offset for each in unique}
        self._requests.run([*self._writes.ends(ends), *self._writes.recounts(late)], "writing the log's ends")
        for partition, end in ends.items():
            place = (self._writes.generation_of(partition), partition)
            self._confirmed[place] = max(end, self._confirmed.get(place, _BEFORE_ALL))

    def upsert_items(self, items: Sequence[CatalogueItem]) -> None:
        """Write items: the newest content, the first sequence number."""
        self._requests.run(self._writes.items(items, self._times), "writing items")

    def read(
        self,
        after: LogPosition,
        limit: int | None = None,
        page_size: int = DEFAULT_PAGE_SIZE,
        until: LogPosition | None = None,
    ) -> Iterator[list[LoggedEvent]]:
        """Yield pages of the events after a position in read order."""
        rows = islice(self._rows(after, ends_within(self.end(), until), page_size), limit)
        while page := [logged_event(row) for row in islice(rows, page_size)]:
            yield page

    def at(self, partition: int, offset: int) -> LoggedEvent | None:
        """Return the event under these coordinates, if it is logged."""
        if offset > self.end().get(partition, _BEFORE_ALL):
            return None
        rows = list(self._range(partition, block_of(offset), offset, offset, 1))
        return logged_event(rows[0]) if rows else None

    def items(self) -> Iterator[list[CatalogueItem]]:
        """Yield all items in pages, in order of first write; a catalogue is held in memory as a whole."""
        found: list[tuple[int, str]] = []
        for bucket in range(ITEM_BUCKETS):
            found += self._ask(self._statements.read_items, (self._name, bucket), "reading items")
        found.sort()
        for start in range(0, len(found), DEFAULT_PAGE_SIZE):
            yield [catalogue_item(text) for _, text in found[start : start + DEFAULT_PAGE_SIZE]]

    def count(self, after: LogPosition | None = None) -> int:
        """Return how many events lie after a position (all without one).

        A block below the log's end is counted once; the count is stored with the block.
        """
        position = after or {}
        return sum(
            self._count_partition(partition, position.get(partition, _BEFORE_ALL) + 1, end)
            for partition, end in self.end().items()
        )

    def end(self) -> dict[int, int]:
        """Return the last offset of every partition."""
        self._writes.generation = self._read_generation()
        ends: dict[int, int] = {}
        for generation in (IMPORTED, self._writes.generation):
            ends |= dict(self._ask(self._statements.read_ends, (self._name, generation), "reading the log's ends"))
        return ends

    def user_history(self, user_id: str, limit: int = 200) -> list[LoggedEvent]:
        """Return a user's newest events by event time, newest first."""
        ends = self.end()
        page_size = min(limit, DEFAULT_PAGE_SIZE)
        rows = self._ask(self._statements.read_user, (self._name, user_id), "reading a user's history", page_size)
        # A row may be there before the write it belongs to is complete.
        confirmed = (row for row in rows if row[1] <= ends.get(row[0], _BEFORE_ALL))
        return [logged_event(row) for row in islice(confirmed, limit)]

    def gaps(self) -> dict[int, list[tuple[int, int]]]:
        """Return per partition the missing ranges [first, last] of offsets below its end."""
        found: dict[int, list[tuple[int, int]]] = {}
        for partition, end in self.end().items():
            expected = 0
            for offset in self._offsets(partition, end):
                if offset > expected:
                    found.setdefault(partition, []).append((expected, offset - 1))
                expected = offset + 1
        return dict(sorted(found.items()))

    def forget(self, events: Sequence[LoggedEvent], repeated: Collection[tuple[int, int]] = ()) -> int:
        """Remove a person's events for good and return how many there were.

        Some events at a time: each time what stays and what goes is one logged batch, so that an attempt that failed
        is gone on with.
        """
        for start in range(0, len(events), _FORGET_EVENTS):
            batch = self._writes.forgetting(events[start : start + _FORGET_EVENTS], repeated)
            self._requests.run([batch], "forgetting events")
        return len(events)

    def forgotten(self) -> list[AnonymousEvents]:
        """Return what is left of all forgotten events."""
        counts: Counter[tuple[str, str, float | None]] = Counter()
        for bucket in range(FORGOTTEN_BUCKETS):
            counts.update(self._ask(self._statements.read_forgotten, (self._name, bucket), "reading what is left"))
        ordered = sorted(counts.items(), key=lambda each: (*each[0][:2], each[0][2] or 0.0))
        return [AnonymousEvents(*what, events) for what, events in ordered]

    def archive(self) -> int:
        """Move every streamed event behind the imported ones, in read order, and return how many.

        The copies become visible, and the old generation disappears, in one step. Repeated after a failure it starts
        over: its copies replace those of the earlier attempt.
        """
        ends = self.end()
        imported = ends.pop(IMPORT_PARTITION, _BEFORE_ALL)
        if not ends:
            return 0
        self._forget_attempt(imported)
        rows = self._rows({}, ends, DEFAULT_PAGE_SIZE)
        place = imported
        while page := list(islice(rows, _ARCHIVE_EVENTS)):
            self._copy(page, place + 1)
            place += len(page)
        old = self._writes.generation
        self._requests.run([self._writes.next_generation(place)], "archiving events")
        blocks = [(partition, block) for partition, end in ends.items() for block, _ in self._blocks(partition, 0, end)]
        self._requests.run(self._writes.no_generation(old, blocks), "archiving events")
        self._writes.generation = self._read_generation()
        return place - imported

    def close(self) -> None:
        """Release the connection."""
        self._cluster.shutdown()

    # Writing

    def _require_confirmed(self, ends: LogPosition) -> None:
        """Check that the log still ends where it was confirmed to end.

        A node that acknowledges a write before it is on disk loses the last of them when it dies (`commitlog_sync:
        periodic`, Cassandra's default). The ends are written after the events, so they are gone if any event is.

        Raises:
            LostTailError: It does not.
        """
        lost = {
            partition: end
            for (generation, partition), end in self._confirmed.items()
            if generation == self._writes.generation_of(partition) and ends.get(partition, _BEFORE_ALL) < end
        }
        if lost:
            self._confirmed.clear()
            self._known_blocks.clear()
            raise LostTailError(
                f"Cassandra had confirmed events up to {lost} (partition: offset) and now ends at {dict(ends)}: a node "
                "has lost its last writes. What is missing is read from Kafka again."
            )

    def _write_rows(self, events: Sequence[LoggedEvent], time_us: TimeOf, others: Iterable[Any], doing: str) -> None:
        """Write events in order of their coordinates, together with other requests."""
        blocks = {self._writes.block_key(each) for each in events} - self._known_blocks
        self._requests.run(
            [
                *self._writes.blocks(blocks),
                *self._writes.histories(events, time_us),
                *self._writes.events(events, time_us),
                *others,
            ],
            doing,
        )
        self._known_blocks |= blocks

    # Reading

    def _rows(self, after: LogPosition, ends: dict[int, int], page_size: int) -> Iterator[EventRow]:
        """Yield rows after a position and up to `ends`: imported ones, then the partitions merged by received time."""
        parts = {
            partition: self._partition(partition, after.get(partition, _BEFORE_ALL) + 1, end, page_size)
            for partition, end in sorted(ends.items())
        }
        imported = parts.pop(IMPORT_PARTITION, iter(()))
        return chain(imported, heapq.merge(*parts.values(), key=lambda row: (row[2], row[0])))

    def _partition(self, partition: int, first: int, last: int, page_size: int) -> Iterator[EventRow]:
        for block, _ in self._blocks(partition, first, last):
            yield from self._range(partition, block, first, last, page_size)

    def _range(self, partition: int, block: int, first: int, last: int, page_size: int) -> Iterator[EventRow]:
        """Yield rows of a block between two offsets, both included."""
        key = (self._name, self._writes.generation_of(partition), partition, block)
        for offset, received_ts_ms, text in self._ask(
            self._statements.read_events, (*key, first, last), "reading events", page_size
        ):
            if text != FORGOTTEN:
                yield partition, offset, received_ts_ms, text

    def _offsets(self, partition: int, end: int) -> Iterator[int]:
        for block, _ in self._blocks(partition, 0, end):
            key = (self._name, self._writes.generation_of(partition), partition, block)
            for (offset,) in self._ask(self._statements.read_offsets, (*key, end), "reading offsets"):
                yield offset

    def _blocks(self, partition: int, first: int, last: int) -> list[tuple[int, int | None]]:
        """Return the blocks between two offsets with the number of their events, where it is known."""
        if last < first:
            return []
        key = (self._name, self._writes.generation_of(partition), partition)
        return list(self._ask(self._statements.read_blocks, (*key, block_of(first), block_of(last)), "reading blocks"))

    def _count_partition(self, partition: int, first: int, last: int) -> int:
        total = 0
        for block, known in self._blocks(partition, first, last):
            low, high = bounds_of(block)
            whole = first <= low and high <= last
            if whole and known is not None:
                total += known
                continue
            key = (self._name, self._writes.generation_of(partition), partition, block)
            rows = self._ask(self._statements.count_events, (*key, max(low, first), min(high, last)), "counting events")
            counted: int = next(iter(rows))[0]
            if whole:
                self._requests.run([self._statements.keep_count.bind((counted, *key))], "keeping a count")
            total += counted
        return total

    def _read_generation(self) -> int:
        rows = list(self._ask(self._statements.read_generation, (self._name,), "opening the log"))
        return rows[0][0] if rows else _FIRST_GENERATION

    def _ask(
        self, statement: Any, parameters: tuple[Any, ...], doing: str, page_size: int = DEFAULT_PAGE_SIZE
    ) -> Iterator[Any]:
        """Yield rows, fetching a page at a time."""
        bound = statement.bind(parameters)
        bound.fetch_size = page_size
        with translating(doing):
            yield from self._requests.ask(bound, doing)

    # Archiving

    def _copy(self, page: Sequence[EventRow], first: int) -> None:
        """Copy streamed events to imported coordinates, and move them in their users' histories."""
        time_us = self._times.fresh_us()
        old = [logged_event(row) for row in page]
        new = [LoggedEvent(IMPORT_PARTITION, first + n, each.received_ts_ms, each.event) for n, each in enumerate(old)]
        self._write_rows(new, lambda _: time_us, self._writes.no_histories(old, DELETED_US), "archiving events")

    def _forget_attempt(self, imported: int) -> None:
        """Remove from the users' histories what a failed attempt has left beyond the imported events."""
        time_us = self._times.fresh_us()
        rows = self._partition(IMPORT_PARTITION, imported + 1, _LAST_OFFSET, DEFAULT_PAGE_SIZE)
        while page := list(islice(rows, _ARCHIVE_EVENTS)):
            self._requests.run(list(self._writes.no_histories(map(logged_event, page), time_us)), "archiving events")


def _place(logged: LoggedEvent) -> tuple[int, int]:
    return logged.partition, logged.offset
