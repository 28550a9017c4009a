"""What is compared: each knows the keys of its part of Redis, and compares some of them as of one moment."""

from collections.abc import Sequence
from functools import partial
from typing import Generic, Protocol, TypeVar

from millrace.kernel.contracts import CatalogueItem
from millrace.kernel.parts import in_parts
from millrace.kernel.user_state import UserState
from millrace.stores.event_log import EventLog
from millrace.stores.redis.redis_catalogue import RedisCatalogueStore
from millrace.stores.redis.redis_statistics import RedisStatisticsStore
from millrace.stores.redis.redis_users import RedisUserStore
from millrace.streams.replay import ItemIndexes, StatisticsReplay, UserReplay
from millrace.streams.statistics.popularity import CHUNK_ITEMS
from millrace.streams.statistics.tail import decode_tail
from millrace.streams.verify.differences import Difference
from millrace.streams.verify.side import Side
from millrace.streams.verify.statistics import Order, PageComparison, PopularityComparison, compare_totals
from millrace.streams.verify.users import compare_tail, compare_user

# Little enough to be read between two commits of a busy worker, or two flushes of the keeper.
_USERS_PER_READ = 100
_PAGES_PER_READ = 128
_CHUNKS_PER_READ = 32

Key = TypeVar("Key")


class Comparison(Protocol[Key]):
    """One part of Redis."""

    async def keys(self) -> Sequence[Key]:
        """Return everything there is to compare."""
        ...

    async def compare(self, keys: Sequence[Key]) -> dict[Key, list[Difference]]:
        """Return the differences of those keys that have some."""
        ...


class CompareItems:
    """The catalogue: every item has one index, and the content logged last."""

    def __init__(self, log: EventLog, catalogue: RedisCatalogueStore, indexes: ItemIndexes, registers: bool) -> None:
        self._items = {item.item_id: item for page in log.items() for item in page}
        self._catalogue = catalogue
        self._indexes = indexes
        self._registers = registers

    async def keys(self) -> list[str]:
        """Return the ids of items that are logged or acted on."""
        return sorted(self._items.keys() | (self._indexes.missing if self._registers else set()))

    async def compare(self, keys: Sequence[str]) -> dict[str, list[Difference]]:
        """Return the differences of those items that have some."""
        indexes = await self._catalogue.indexes(keys)
        known = [index for index in indexes if index is not None]
        back = dict(zip(known, await self._catalogue.item_ids(known), strict=True))
        stored = await self._catalogue.items(keys)
        found = {
            item_id: self._compare(item_id, index, None if index is None else back[index], item)
            for item_id, index, item in zip(keys, indexes, stored, strict=True)
        }
        return {item_id: differences for item_id, differences in found.items() if differences}

    def _compare(self, item_id: str, index: int | None, back: str | None, stored: CatalogueItem) -> list[Difference]:
        if index is None:
            return [Difference("item", item_id, "index", "registered", None)]
        if back != item_id:
            return [Difference("item", item_id, f"item of its index {index}", item_id, back)]
        logged = self._items.get(item_id)
        if logged is None or logged == stored:
            return []
        return [Difference("item", item_id, "content", logged.model_dump(), stored.model_dump())]


class CompareUsers:
    """What workers hold of each user."""

    def __init__(self, side: Side[UserReplay], store: RedisUserStore) -> None:
        self._side = side
        self._store = store
        self.number = 0
        """Users there were to compare."""

    async def keys(self) -> list[str]:
        """Return every user of the log and of Redis."""
        ids = sorted(self._side.replay.users.keys() | await self._store.user_ids())
        self.number = len(ids)
        return ids

    async def compare(self, keys: Sequence[str]) -> dict[str, list[Difference]]:
        """Return the differences of those users that have some."""
        found = {}
        for part in in_parts(keys, _USERS_PER_READ):
            states = await self._side.read(partial(self._store.load, part))
            for state in states:
                logged = self._side.replay.users.get(state.user_id) or UserState(state.user_id)
                if differences := compare_user(logged, state):
                    found[state.user_id] = differences
        return found


class CompareTails:
    """What the keeper remembers of each user."""

    def __init__(self, side: Side[StatisticsReplay], store: RedisStatisticsStore) -> None:
        self._side = side
        self._store = store

    async def keys(self) -> list[str]:
        """Return every user of the log and of the keeper."""
        return sorted(self._side.replay.users.keys() | await self._store.user_ids())

    async def compare(self, keys: Sequence[str]) -> dict[str, list[Difference]]:
        """Return the differences of those users that have some."""
        found = {}
        for part in in_parts(keys, _USERS_PER_READ):
            tails = await self._side.read(partial(self._store.tails, part))
            for user_id, data in zip(part, tails, strict=True):
                if differences := self._compare(user_id, data):
                    found[user_id] = differences
        return found

    def _compare(self, user_id: str, data: bytes | None) -> list[Difference]:
        try:
            stored = decode_tail(user_id, data)
        except ValueError as error:
            return [Difference("tail", user_id, "bytes", "readable", str(error))]
        return compare_tail(self._side.replay.users.get(user_id) or UserState(user_id), stored)


class CompareTotals:
    """The keeper's clock and totals."""

    def __init__(self, side: Side[StatisticsReplay], store: RedisStatisticsStore, order: Order) -> None:
        self._side = side
        self._store = store
        self._order = order

    async def keys(self) -> list[str]:
        """Return the one key."""
        return ["totals"]

    async def compare(self, keys: Sequence[str]) -> dict[str, list[Difference]]:
        """Return the differences, if there are any."""
        stored = await self._side.read(self._store.scalars)
        differences = compare_totals(self._side.replay.statistics, stored, self._order)
        return dict.fromkeys(keys, differences) if differences else {}


class _OfItems(Generic[Key]):
    """What is kept by item index.

    Args:
        side: The keeper's.
        store: Where it writes.
        names: From an item's index to its id.
    """

    def __init__(self, side: Side[StatisticsReplay], store: RedisStatisticsStore, names: dict[int, str]) -> None:
        self._side = side
        self._store = store
        self._names = names
        self._highest = max(names, default=0)

    def _name(self, item: int) -> str:
        return self._names.get(item, f"of index {item}")


class ComparePopularity(_OfItems[int]):
    """How often each item was acted on."""

    def __init__(
        self, side: Side[StatisticsReplay], store: RedisStatisticsStore, names: dict[int, str], order: Order
    ) -> None:
        super().__init__(side, store, names)
        self._comparison = PopularityComparison(self._name, order)

    @property
    def displacement_events(self) -> int:
        """How far the keeper's order was from the log's, at most."""
        return self._comparison.displacement

    async def keys(self) -> list[int]:
        """Return the numbers of the chunks."""
        return list(range(self._highest // CHUNK_ITEMS + 1))

    async def compare(self, keys: Sequence[int]) -> dict[int, list[Difference]]:
        """Return the differences of those chunks that have some."""
        found = {}
        for part in in_parts(keys, _CHUNKS_PER_READ):
            stored = await self._side.read(partial(self._store.popularity, max(part) + 1))
            for chunk in part:
                logged = self._side.replay.statistics.popularity
                if differences := self._comparison.compare(chunk, logged, stored[chunk]):
                    found[chunk] = differences
        return found


class ComparePages(_OfItems[int]):
    """What followed what."""

    def __init__(
        self, side: Side[StatisticsReplay], store: RedisStatisticsStore, names: dict[int, str], order: Order
    ) -> None:
        super().__init__(side, store, names)
        self._comparison = PageComparison(self._name, order, side.replay.statistics.rows.neighbours)

    async def keys(self) -> list[int]:
        """Return the indexes of the items."""
        return list(range(1, self._highest + 1))

    async def compare(self, keys: Sequence[int]) -> dict[int, list[Difference]]:
        """Return the differences of those pages that have some."""
        found = {}
        for part in in_parts(keys, _PAGES_PER_READ):
            pages = await self._side.read(partial(self._store.pages, part))
            for item, page in zip(part, pages, strict=True):
                if differences := self._comparison.compare(item, self._side.replay.statistics.rows, page):
                    found[item] = differences
        return found
