"""Builds the requests that write or remove events and items in Cassandra; sends nothing.

Rows are packed into few requests, each far below what the server refuses.
"""

import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from cassandra.query import BatchStatement, BatchType

from millrace.kernel.contracts import CatalogueItem
from millrace.stores.event_log.cassandra_rows import (
    DELETED_US,
    FORGOTTEN,
    FORGOTTEN_BUCKETS,
    WriteTimes,
    block_of,
    bucket_of,
    chunks,
    event_text,
    first_wins,
    item_text,
)
from millrace.stores.event_log.cassandra_statements import Statements
from millrace.stores.event_log.protocol import IMPORT_PARTITION, LoggedEvent

# One request for rows of one block: a single mutation in the server, far below its limit of 16 MB.
_BLOCK_ROWS, _BLOCK_BYTES = 100, 1 << 20
# One request for rows of several people: Cassandra warns above ten partitions or 5 kB.
_USER_ROWS, _USER_BYTES, _USER_KEYS = 40, 4000, 10
# Bytes of a row beside its JSON.
_ROW_BYTES = 80
# The generation of imported events: they stay when a topic is created anew.
IMPORTED = 0

# Log, generation, partition, block.
BlockKey = tuple[str, int, int, int]
# Log, user, event time, generation, partition, offset.
UserKey = tuple[str, str, int, int, int, int]
TimeOf = Callable[[LoggedEvent], int]


class Writes:
    """Makes the requests of one log.

    Args:
        statements: Prepared ones.
        name: The log's name.
        generation: Of the streamed events.

    Attributes:
        generation: As above; to be changed when the log has moved on.
    """

    def __init__(self, statements: Statements, name: str, generation: int) -> None:
        self.generation = generation
        self._statements = statements
        self._name = name

    def generation_of(self, partition: int) -> int:
        """Return the generation that a partition's rows belong to."""
        return IMPORTED if partition == IMPORT_PARTITION else self.generation

    def block_key(self, event: LoggedEvent) -> BlockKey:
        """Return the Cassandra partition of an event's coordinates."""
        return self._name, self.generation_of(event.partition), event.partition, block_of(event.offset)

    def blocks(self, keys: Iterable[BlockKey]) -> list[Any]:
        """Return the requests that register blocks."""
        return [self._statements.insert_block.bind(key) for key in sorted(keys)]

    def events(self, events: Sequence[LoggedEvent], time_us: TimeOf) -> Iterator[Any]:
        """Yield the requests for events under their coordinates; `events` are in this order."""
        rows = (
            (self.block_key(each), (each.offset, each.received_ts_ms, event_text(each.event), time_us(each)))
            for each in events
        )
        sized = ((key, len(row[2]) + _ROW_BYTES, (*key, *row)) for key, row in rows)
        return self._packed(self._statements.insert_event, chunks(sized, _BLOCK_ROWS, _BLOCK_BYTES))

    def histories(self, events: Iterable[LoggedEvent], time_us: TimeOf) -> Iterator[Any]:
        """Yield the requests for the same events in their users' histories."""
        rows = (
            (self._user_key(each), (each.received_ts_ms, event_text(each.event), time_us(each)))
            for each in sorted(events, key=_user_id)
        )
        sized = ((key[1], len(row[1]) + _ROW_BYTES, (*key, *row)) for key, row in rows)
        return self._packed(self._statements.insert_user_event, chunks(sized, _USER_ROWS, _USER_BYTES, _USER_KEYS))

    def no_histories(self, events: Iterable[LoggedEvent], time_us: int) -> Iterator[Any]:
        """Yield the requests that take events out of their users' histories."""
        keys = (self._user_key(each) for each in sorted(events, key=_user_id))
        sized = ((key[1], _ROW_BYTES, (time_us, *key)) for key in keys)
        return self._packed(self._statements.delete_user_event, chunks(sized, _USER_ROWS, _USER_BYTES, _USER_KEYS))

    def ends(self, ends: Mapping[int, int]) -> list[Any]:
        """Return the requests that move the log's ends on."""
        return [
            # The write time is the offset: an end never moves back, in whatever order it is written.
            self._statements.insert_end.bind((self._name, self.generation_of(partition), partition, end, end + 1))
            for partition, end in ends.items()
        ]

    def recounts(self, late: Iterable[LoggedEvent]) -> list[Any]:
        """Return the requests that drop the counts of blocks written to below the log's end."""
        return [self._statements.forget_count.bind(key) for key in sorted({self.block_key(each) for each in late})]

    def items(self, items: Sequence[CatalogueItem], times: WriteTimes) -> list[Any]:
        """Return the requests for items: the newest content, the first sequence number."""
        rows = [
            (bucket_of(item.item_id), len(text) + _ROW_BYTES, (item, text, times.rising_us()))
            for item, text in ((item, item_text(item)) for item in items)
        ]
        rows.sort(key=lambda row: row[0])  # stable: the order of the items stays within a bucket
        batches = []
        for chunk in chunks(rows, _BLOCK_ROWS, _BLOCK_BYTES):
            batch = self._batch()
            for item, text, now_us in chunk:
                key = (self._name, bucket_of(item.item_id), item.item_id)
                batch.add(self._statements.insert_item, (*key, text, now_us))
                batch.add(self._statements.insert_sequence, (*key, now_us, first_wins(now_us)))
            batches.append(batch)
        return batches

    def forgetting(self, events: Iterable[LoggedEvent], repeated: Collection[tuple[int, int]]) -> Any:
        """Return the batch that keeps the coordinates and the anonymous counts of events, and removes the rest."""
        batch = self._batch(BatchType.LOGGED)
        for logged in events:
            event, mark = logged.event, uuid.uuid4()
            if (logged.partition, logged.offset) not in repeated:
                key = (self._name, mark.int % FORGOTTEN_BUCKETS, mark)
                batch.add(self._statements.insert_forgotten, (*key, event.item_id, event.type, event.value))
            place = (*self.block_key(logged), logged.offset)
            batch.add(self._statements.insert_event, (*place, 0, FORGOTTEN, DELETED_US))
            batch.add(self._statements.delete_user_event, (DELETED_US, *self._user_key(logged)))
        return batch

    def next_generation(self, last_imported: int) -> Any:
        """Return the batch that shows the copies and hides the originals, in one step."""
        batch = self._batch(BatchType.LOGGED)
        for statement in self.ends({IMPORT_PARTITION: last_imported}):
            batch.add(statement)
        batch.add(self._statements.insert_generation, (self._name, self.generation + 1))
        return batch

    def no_generation(self, generation: int, blocks: Iterable[tuple[int, int]]) -> list[Any]:
        """Return the requests that delete a generation, given its partitions and blocks."""
        deletions = [
            self._statements.delete_block_events.bind((DELETED_US, self._name, generation, partition, block))
            for partition, block in blocks
        ]
        key = (self._name, generation)
        return [
            *deletions,
            self._statements.delete_blocks.bind(key),
            self._statements.delete_ends.bind((DELETED_US, *key)),
        ]

    def _user_key(self, logged: LoggedEvent) -> UserKey:
        event, generation = logged.event, self.generation_of(logged.partition)
        return self._name, event.user_id, event.ts_ms, generation, logged.partition, logged.offset

    def _packed(self, statement: Any, rows: Iterable[list[tuple[Any, ...]]]) -> Iterator[Any]:
        """Yield one request for each list of rows."""
        for chunk in rows:
            batch = self._batch()
            for row in chunk:
                batch.add(statement, row)
            yield batch

    def _batch(self, kind: Any = BatchType.UNLOGGED) -> Any:
        return BatchStatement(kind, consistency_level=self._statements.consistency)


def _user_id(logged: LoggedEvent) -> str:
    return logged.event.user_id
