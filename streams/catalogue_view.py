"""The catalogue in memory, kept current from the changes in the store, and the map from item ids to indexes."""

import logging
from collections.abc import Iterable, Sequence
from typing import Protocol

from millrace.kernel.contracts import CatalogueItem
from millrace.stores.redis.values import CatalogueChange
from millrace.streams.catalogue import Catalogue

logger = logging.getLogger(__name__)

# How often `refresh` is to be called.
POLL_S = 0.1
# The change sequence read first; 0 reads the whole catalogue.
_FROM_START = 0


class CatalogueReader(Protocol):
    """The part of `CatalogueStore` that is needed here."""

    async def assign(self, item_ids: Sequence[str]) -> list[int]:
        """Return the dense index of each id, registering unknown ones."""
        ...

    async def indexes(self, item_ids: Sequence[str]) -> list[int | None]:
        """Return the dense index of each id, None for an unknown one."""
        ...

    async def changes_since(self, sequence: int) -> tuple[int, list[CatalogueChange]]:
        """Return the items changed after `sequence` and the new sequence."""
        ...

    async def sequence(self) -> int:
        """Return the current change sequence."""
        ...


class CatalogueView:
    """The catalogue in memory and the map from item ids to indexes.

    Redis may lose its newest writes (a failover, a host that lost its last second) and give an index that is known here
    to another item. A lower change sequence or an index with another id shows that; then everything is read again.

    Args:
        store: The shared catalogue.
        register_unknown: Whether an event may register an item.
    """

    def __init__(self, store: CatalogueReader, register_unknown: bool) -> None:
        self.catalogue = Catalogue()
        self._store = store
        self._register_unknown = register_unknown
        self._sequence = _FROM_START
        self._indexes: dict[str, int] = {}
        self._contradicted = False

    async def resolve(self, item_ids: Iterable[str]) -> dict[str, int]:
        """Return the index of each id, registering unknown ones if that is allowed; others are left out.

        Raises:
            TransientError: The store is away.
        """
        wanted = set(item_ids)
        await self._ask(wanted)
        if self._contradicted:
            await self.refresh()
            await self._ask(wanted)
        return {item_id: self._indexes[item_id] for item_id in wanted if item_id in self._indexes}

    async def _ask(self, wanted: set[str]) -> None:
        unknown = sorted(item_id for item_id in wanted if item_id not in self._indexes)
        if unknown:
            found = await (self._store.assign if self._register_unknown else self._store.indexes)(unknown)
            for item_id, index in zip(unknown, found, strict=True):
                if index is not None:
                    self._learn(index, item_id)

    async def refresh(self) -> None:
        """Read what has changed in the store; raises TransientError while it is away."""
        seen = self._sequence
        lost_writes = self._contradicted or await self._store.sequence() < seen
        self._sequence, changes = await self._store.changes_since(_FROM_START if lost_writes else seen)
        if lost_writes:
            logger.warning("Redis has lost its newest writes: all %d items are read again.", len(changes))
            self._forget()
        for change in changes:
            self._compare(change.index, change.item.item_id)
            self._indexes[change.item.item_id] = change.index
            self.catalogue.upsert(change.index, change.item)
        if lost_writes:
            # Reading again does not help against ids that contradict each other in the store.
            self._contradicted = False

    def _learn(self, index: int, item_id: str) -> None:
        """Know an item by its id alone until its metadata arrive with the next refresh."""
        self._compare(index, item_id)
        self._indexes[item_id] = index
        if self.catalogue.item(index) is None:
            self.catalogue.upsert(index, CatalogueItem(item_id=item_id))

    def _compare(self, index: int, item_id: str) -> None:
        known = self.catalogue.item(index)
        self._contradicted |= known is not None and known.item_id != item_id

    def _forget(self) -> None:
        self._indexes.clear()
        self.catalogue.clear()
