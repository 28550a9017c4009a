"""Dense indexes of the items of logged events; each is read from Redis once."""

from collections.abc import Iterable

from millrace.stores.redis.redis_catalogue import RedisCatalogueStore


class ItemIndexes:
    """The dense indexes of items, cached.

    Args:
        catalogue: Store of the indexes.
        register: Whether an unknown item is registered.

    Attributes:
        known: Item id -> index.
        missing: Ids that were asked for and have no index.
    """

    def __init__(self, catalogue: RedisCatalogueStore, register: bool) -> None:
        self._catalogue = catalogue
        self._register = register
        self.known: dict[str, int] = {}
        self.missing: set[str] = set()

    def get(self, item_id: str) -> int | None:
        """Return the index of an item that `ask` has looked up; None if it has none."""
        return self.known.get(item_id)

    async def ask(self, item_ids: Iterable[str]) -> None:
        """Look up the indexes of items.

        Raises:
            TransientError: Redis does not answer.
        """
        unknown = [each for each in dict.fromkeys(item_ids) if each not in self.known]
        if not unknown:
            return
        found = await (self._catalogue.assign if self._register else self._catalogue.indexes)(unknown)
        for item_id, index in zip(unknown, found, strict=True):
            if index is None:
                self.missing.add(item_id)
            else:
                self.missing.discard(item_id)
                self.known[item_id] = index
