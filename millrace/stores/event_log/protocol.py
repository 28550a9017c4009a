"""The protocol of an event log. All adapters pass the same behavioural tests."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from millrace.kernel.contracts import ActivityEvent, CatalogueItem
from millrace.kernel.errors import TransientError

# History that was imported, not streamed, is logged under this partition, its offsets counted from 0.
IMPORT_PARTITION = -1
DEFAULT_PAGE_SIZE = 5000

# Partition -> last offset read.
LogPosition = Mapping[int, int]


def ends_within(ends: LogPosition, until: LogPosition | None) -> dict[int, int]:
    """Return the last offset to read of each partition: the log's end, or `until` where that comes first."""
    if until is None:
        return dict(ends)
    return {partition: min(end, until[partition]) for partition, end in ends.items() if partition in until}


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """One event under its Kafka coordinates.

    Args:
        partition: Partition of the events topic, or IMPORT_PARTITION.
        offset: Offset in it.
        received_ts_ms: The record's timestamp.
        event: The event, with its `value` as sent (None where its type implies one).
    """

    partition: int
    offset: int
    received_ts_ms: int
    event: ActivityEvent


@dataclass(frozen=True, slots=True)
class AnonymousEvents:
    """Events of forgotten users, counted by item and type: neither who acted, nor when, is kept.

    Args:
        item_id: The item.
        type: The events' type.
        value: Their value as sent, None where the type implies one.
        events: How many.
    """

    item_id: str
    type: str
    value: float | None
    events: int


class LostTailError(TransientError):
    """The log ends before confirmed events: its server died and lost its last writes.

    Nothing of the batch is written. The lost events are still in Kafka: read again from the log's present end.
    """


class EventLog(Protocol):
    """A log that may be written twice and is read in order."""

    def append(self, events: Sequence[LoggedEvent]) -> None:
        """Write durably; an event under coordinates already there changes nothing.

        Raises:
            LostTailError: Events that an earlier call confirmed are gone; raised once.
            TransientError: The log did not take it (yet); nothing or part of the batch is written, write it again.
        """
        ...

    def upsert_items(self, items: Sequence[CatalogueItem]) -> None:
        """Write items; the newest write of an item_id wins.

        Raises:
            TransientError: As for `append`.
        """
        ...

    def read(
        self,
        after: LogPosition,
        limit: int | None = None,
        page_size: int = DEFAULT_PAGE_SIZE,
        until: LogPosition | None = None,
    ) -> Iterator[list[LoggedEvent]]:
        """Yield pages of the events after a position, up to the log's end at the time of the call.

        With `until`, no partition is read beyond its offset there, and one that is left out not at all.

        Imported events come first. The partitions follow, merged by received time (then partition), each of
        them in the order of its offsets whatever its records' clocks said: the order in which workers apply them.
        Reading on after the position of the last event read continues the same order.
        """
        ...

    def at(self, partition: int, offset: int) -> LoggedEvent | None:
        """Return the event under these coordinates, if it is logged."""
        ...

    def items(self) -> Iterator[list[CatalogueItem]]:
        """Yield all items in pages, in order of first write."""
        ...

    def count(self, after: LogPosition | None = None) -> int:
        """Return how many events lie after a position (all without one), those forgotten included."""
        ...

    def end(self) -> dict[int, int]:
        """Return the last offset of every partition."""
        ...

    def user_history(self, user_id: str, limit: int = 200) -> list[LoggedEvent]:
        """Return a user's newest events by event time, newest first."""
        ...

    def gaps(self) -> dict[int, list[tuple[int, int]]]:
        """Return per partition the ranges [first, last] of offsets that are missing below its end.

        A dead letter leaves a gap too: a range is a place to look, not proof of a loss.
        """
        ...

    def forget(self, events: Sequence[LoggedEvent], repeated: Collection[tuple[int, int]] = ()) -> int:
        """Remove a person's events for good and return how many there were.

        Their coordinates stay taken: they are no gaps, and writing the events again changes nothing. What they say
        about items is kept without the person, see `forgotten`.

        Args:
            events: What to remove, as read from this log.
            repeated: Partition and offset of the events that were applied to nothing, since they repeat earlier ones;
                nothing is left of these.

        Raises:
            TransientError: As for `append`; part of the events may be forgotten, read what is left and forget it.
        """
        ...

    def forgotten(self) -> list[AnonymousEvents]:
        """Return the anonymous counts of all forgotten events, ordered by their content."""
        ...

    def archive(self) -> int:
        """Move every streamed event behind the imported ones, in read order, and return how many.

        For a topic that was created anew, whose offsets start from 0 again: the past stays as imported history.

        Raises:
            TransientError: As for `append`; nothing is moved then.
        """
        ...

    def close(self) -> None:
        """Release the connection."""
        ...
