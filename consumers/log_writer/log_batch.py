"""From the records of one poll to the items and events for the log: pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from millrace.kernel.contracts import CatalogueItem, EventPolicy, decode_event, decode_item
from millrace.kernel.errors import PoisonError, Reason
from millrace.kernel.topics import Topics
from millrace.stores.event_log import LoggedEvent


class Record(Protocol):
    """The part of a Kafka record that is used."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


@dataclass(slots=True)
class LogBatch:
    """What some records hold.

    Args:
        items: Valid items, in order.
        events: Valid events under their coordinates, in order.
        poison: Unusable records of the topic `events` by reason. The worker puts them into the dead-letter topic.
    """

    items: list[CatalogueItem] = field(default_factory=list)
    events: list[LoggedEvent] = field(default_factory=list)
    poison: Counter[Reason] = field(default_factory=Counter)

    def add(self, records: Iterable[Record], topics: Topics, policy: EventPolicy) -> None:
        """Decode records and put each where it belongs."""
        for record in records:
            try:
                if record.topic == topics.items:
                    self.items.append(decode_item(record.value, policy))
                else:
                    event = decode_event(record.value, record.timestamp, policy, record.key)
                    self.events.append(LoggedEvent(record.partition, record.offset, record.timestamp, event))
            except PoisonError as error:
                self.poison[error.reason] += 1
