"""The worker's view of the catalogue: kept current from the changes in the store, and item ids as indexes."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Protocol

from millrace.kernel.contracts import CatalogueItem
from millrace.kernel.errors import TransientError
from millrace.stores.redis.protocols import CatalogueChange
from millrace.streams.catalogue import Catalogue

logger = logging.getLogger(__name__)

_POLL_S = 0.1
# The change sequence read first; 0 reads the whole catalogue.
_FROM_START = 0


class CatalogueReader(Protocol):
    """What the worker needs of `CatalogueStore`."""

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

    Redis may go back (a failover, a host that lost its last second) and give an index that is known here to another
    item. Whatever shows that, a lower change sequence or an index with another id, has everything read anew.

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
        """Take over what changed in the store; raises TransientError while it is away."""
        seen = self._sequence
        gone_back = self._contradicted or await self._store.sequence() < seen
        self._sequence, changes = await self._store.changes_since(_FROM_START if gone_back else seen)
        if gone_back:
            logger.warning("Redis has gone back: all %d items are read anew.", len(changes))
            self._forget()
        for change in changes:
            self._compare(change.index, change.item.item_id)
            self._indexes[change.item.item_id] = change.index
            self.catalogue.upsert(change.index, change.item)
        if gone_back:
            # What contradicts itself in the store is no better for being read again.
            self._contradicted = False

    async def keep_fresh(self) -> None:
        """Refresh for ever; runs until cancelled."""
        while True:
            try:
                await self.refresh()
            except TransientError as error:
                logger.warning("The catalogue is not refreshed: %s", error)
            except Exception:
                logger.exception("Refreshing the catalogue failed; trying again.")
            await asyncio.sleep(_POLL_S)

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
