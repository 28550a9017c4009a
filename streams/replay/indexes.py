"""Item ids of logged events as dense indexes: each asked of Redis once."""

from collections.abc import Iterable

from millrace.stores.redis.redis_catalogue import RedisCatalogueStore


class ItemIndexes:
    """The indexes that Redis has given to items.

    Args:
        catalogue: Where they are.
        register: Whether an item without one gets one.
    """

    def __init__(self, catalogue: RedisCatalogueStore, register: bool) -> None:
        self._catalogue = catalogue
        self._register = register
        self.known: dict[str, int] = {}
        """Indexes by item id."""
        self.missing: set[str] = set()
        """Ids asked for that have none."""

    def get(self, item_id: str) -> int | None:
        """Return the index of an item asked for before, None if it has none."""
        return self.known.get(item_id)

    async def ask(self, item_ids: Iterable[str]) -> None:
        """Find the indexes of items.

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
