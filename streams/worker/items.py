"""The items topic: catalogue upserts in batches."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from millrace.kernel.contracts import CatalogueItem, EventPolicy, decode_item
from millrace.kernel.errors import PoisonError, TransientError
from millrace.kernel.topics import Topics
from millrace.runtime.dead_letters import dead_letter
from millrace.runtime.records import OutgoingRecord, Publisher, SourceRecord
from millrace.runtime.retry import Retry
from millrace.stores.redis.values import ItemSource

logger = logging.getLogger(__name__)


class ItemWriter(Protocol):
    """What this needs of `CatalogueStore`."""

    async def upsert(self, items: Sequence[CatalogueItem], sources: Sequence[ItemSource]) -> list[int]:
        """Write metadata, registering unknown items; what was stored from later records stays."""
        ...


class ItemsProcessor:
    """Writes catalogue records; a bad one becomes a dead letter.

    Args:
        policy: What is accepted.
        topics: Topic names.
        store: The shared catalogue.
        publisher: Writes to Kafka.
        written: Called after each batch, so that the worker's own view follows at once.
    """

    def __init__(
        self,
        policy: EventPolicy,
        topics: Topics,
        store: ItemWriter,
        publisher: Publisher,
        written: Callable[[], Awaitable[None]],
    ) -> None:
        self._policy = policy
        self._topics = topics
        self._store = store
        self._publisher = publisher
        self._written = written
        self._retry = Retry("worker's writing of items")

    @property
    def waiting_for(self) -> str | None:
        """What the batch in hand waits for."""
        return self._retry.waiting_for

    async def process(self, records: Sequence[SourceRecord]) -> None:
        """Write a batch, waiting while a service is away; the newest record of an item wins."""
        items: dict[str, tuple[CatalogueItem, ItemSource]] = {}
        poison: list[OutgoingRecord] = []
        for record in records:
            try:
                item = decode_item(record.value, self._policy)
                items[item.item_id] = item, ItemSource(record.partition, record.offset, record.timestamp_ms)
            except PoisonError as error:
                poison.append(dead_letter(self._topics.dead_letters, record, error))
        await self._retry.until_done(lambda: self._write(list(items.values()), poison))
        try:
            await self._written()
        except TransientError as error:
            # Not tried again here: the view refreshes itself at an interval.
            logger.warning("Items are written, but this worker does not see them yet: %s", error)

    async def _write(self, items: Sequence[tuple[CatalogueItem, ItemSource]], poison: Sequence[OutgoingRecord]) -> None:
        if items:
            await self._store.upsert([item for item, _ in items], [source for _, source in items])
        if poison:
            await self._publisher.publish(poison)
