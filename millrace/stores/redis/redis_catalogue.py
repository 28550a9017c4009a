"""Items in Redis: metadata and dense indexes."""

import logging
from collections.abc import Sequence

import orjson

from millrace.kernel.contracts import CatalogueItem
from millrace.kernel.keys import Keys
from millrace.kernel.parts import in_parts
from millrace.stores.redis.cluster import primary_of
from millrace.stores.redis.connect import Client, RedisErrors
from millrace.stores.redis.maintenance import clear_keys
from millrace.stores.redis.scripts import Call, Script, run_scripts
from millrace.stores.redis.values import CatalogueChange, ItemSource

_FIELDS = ("index", "title", "genres", "year", "available", "attributes")
# Items per script call and per pipeline: a script of a few milliseconds causes no noticeable delay.
_ITEMS_PER_CALL = 500
# Going on without a replica is better than stopping.
_REPLICA_WAIT_MS = 1000

_log = logging.getLogger(__name__)

# An index is one more than the number of indexes given so far: dense, from 1, and never reused since none is removed.
# KEYS: id -> index, index -> id, changes, sequence, then the hash of each item. ARGV: number of values per item,
# then per item its id and its values (title, genres, year, available, attributes, source), or no values to register it
# only. A source is `partition:offset:timestamp` of the record, or empty. An item from an earlier record than the stored
# one changes nothing: item writes are not fenced, and a worker that was suspended may resume with an old record. It
# must be older by its timestamp too: the first records of a topic that was created anew are not.
_REGISTER = Script(
    """
local function lies_before(source, stored)
  local partition, offset, time = string.match(source, '^(%d+):(%d+):(%d+)$')
  local other, latest, latest_time = string.match(stored or '', '^(%d+):(%d+):(%d+)$')
  -- Offsets of two partitions say nothing about which record is newer.
  if partition == nil or partition ~= other then return false end
  return tonumber(offset) < tonumber(latest) and tonumber(time) <= tonumber(latest_time)
end
local width = tonumber(ARGV[1])
local indexes = {}
for n = 1, #KEYS - 4 do
  local at = 2 + (n - 1) * (width + 1)
  local id, key = ARGV[at], KEYS[n + 4]
  local index = tonumber(redis.call('HGET', KEYS[1], id))
  local known = index
  if not known then
    index = redis.call('HLEN', KEYS[1]) + 1
    redis.call('HSET', KEYS[1], id, index)
    redis.call('HSET', KEYS[2], index, id)
    redis.call('HSET', key, 'index', index)
  end
  local newer = width > 0 and not lies_before(ARGV[at + 6], redis.call('HGET', key, 'source'))
  if newer then
    redis.call('HSET', key, 'title', ARGV[at + 1], 'genres', ARGV[at + 2], 'year', ARGV[at + 3],
               'available', ARGV[at + 4], 'attributes', ARGV[at + 5], 'source', ARGV[at + 6])
  end
  if newer or not known then redis.call('ZADD', KEYS[3], redis.call('INCR', KEYS[4]), id) end
  indexes[n] = index
end
return indexes
"""
)


class RedisCatalogueStore:
    """Items in Redis.

    Args:
        redis: A client of the running event loop, see `millrace.stores.redis.connect`.
        keys: The key names.
    """

    def __init__(self, redis: Client, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    async def assign(self, item_ids: Sequence[str]) -> list[int]:
        """Return the dense index of each id, registering unknown ones (as bare items) once, atomically."""
        known = await self.indexes(item_ids)
        missing = list(dict.fromkeys(each for each, index in zip(item_ids, known, strict=True) if index is None))
        if not missing:
            return [index for index in known if index is not None]
        new = dict(zip(missing, await self._register(missing, [()] * len(missing)), strict=True))
        return [new[each] if index is None else index for each, index in zip(item_ids, known, strict=True)]

    async def indexes(self, item_ids: Sequence[str]) -> list[int | None]:
        """Return the dense index of each id without registering anything; None for an unknown one."""
        found: list[bytes | None] = []
        with RedisErrors("reading item indexes"):
            for chunk in in_parts(item_ids, _ITEMS_PER_CALL):
                found += await self._redis.execute_command("HMGET", self._keys.item_index, *chunk)
        return [None if index is None else int(index) for index in found]

    async def item_ids(self, indexes: Sequence[int]) -> list[str | None]:
        """Return the id of each dense index; None for one not assigned."""
        found: list[bytes | None] = []
        with RedisErrors("reading item ids"):
            for chunk in in_parts(indexes, _ITEMS_PER_CALL):
                found += await self._redis.execute_command("HMGET", self._keys.item_id, *chunk)
        return [None if item_id is None else item_id.decode() for item_id in found]

    async def upsert(self, items: Sequence[CatalogueItem], sources: Sequence[ItemSource] = ()) -> list[int]:
        """Write metadata, registering unknown items; returns their indexes.

        Args:
            items: Each item once.
            sources: Of each item; one stored from a later record of the partition stays as it is. Without sources
                everything is written, and any record may replace it.
        """
        texts = [":".join(map(str, source)) for source in sources] or [""] * len(items)
        values = [(*_values(item), source) for item, source in zip(items, texts, strict=True)]
        return await self._register([item.item_id for item in items], values)

    async def _register(self, item_ids: Sequence[str], values: Sequence[tuple[str | bytes, ...]]) -> list[int]:
        indexes: list[int] = []
        shared = [self._keys.item_index, self._keys.item_id, self._keys.item_changes, self._keys.item_sequence]
        with RedisErrors("registering items"):
            for chunk in in_parts(zip(item_ids, values, strict=True), _ITEMS_PER_CALL):
                keys = [*shared, *(self._keys.item(item_id) for item_id, _ in chunk)]
                args = [len(chunk[0][1]), *(part for item_id, rest in chunk for part in (item_id, *rest))]
                indexes += await self._run_safely(Call(_REGISTER, keys, args))
        return indexes

    async def _run_safely(self, call: Call) -> list[int]:
        """Run a registration; on a cluster wait until a replica has it as well.

        An index that a failover takes back would be given to another item, while users hold it for this one.
        """
        if not self._keys.clustered:
            return list(*await run_scripts(self._redis, [call]))
        async with primary_of(self._redis, self._keys.item_index) as primary:
            # One after the other on the only connection of this client, whose own writes it waits for.
            (assigned,) = await run_scripts(primary, [call])
            if not await primary.execute_command("WAIT", 1, _REPLICA_WAIT_MS):
                _log.warning("No replica has confirmed new items within %d ms.", _REPLICA_WAIT_MS)
        return list(assigned)

    async def changes_since(self, sequence: int) -> tuple[int, list[CatalogueChange]]:
        """Return the items changed after `sequence` and the new sequence; 0 reads everything.

        An item that changes while this reads may be returned in its newer form, and once more by the next call.
        """
        with RedisErrors("reading catalogue changes"):
            changed = await self._redis.execute_command(
                "ZRANGEBYSCORE", self._keys.item_changes, f"({sequence}", "+inf", "WITHSCORES"
            )
            changes: list[CatalogueChange] = []
            for chunk in in_parts(changed, _ITEMS_PER_CALL):
                changes += await self._read([item_id.decode() for item_id, _ in chunk])
        return (int(changed[-1][1]) if changed else sequence), changes

    async def items(self, item_ids: Sequence[str]) -> list[CatalogueItem]:
        """Return the metadata of each id; an unknown one is a bare item."""
        with RedisErrors("reading items"):
            return [change.item for chunk in in_parts(item_ids, _ITEMS_PER_CALL) for change in await self._read(chunk)]

    async def count(self) -> int:
        """Return how many items have an index; the highest index is the same number."""
        with RedisErrors("counting items"):
            return int(await self._redis.execute_command("HLEN", self._keys.item_index))

    async def _read(self, item_ids: Sequence[str]) -> list[CatalogueChange]:
        pipeline = self._redis.pipeline(transaction=False)
        for item_id in item_ids:
            pipeline.execute_command("HMGET", self._keys.item(item_id), *_FIELDS)
        return [_change(item_id, fields) for item_id, fields in zip(item_ids, await pipeline.execute(), strict=True)]

    async def sequence(self) -> int:
        """Return the current change sequence."""
        with RedisErrors("reading the catalogue sequence"):
            return int(await self._redis.execute_command("GET", self._keys.item_sequence) or 0)

    async def clear(self) -> int:
        """Delete all items and their indexes; returns the number of keys.

        Indexes are given anew afterwards: users, statistics and model versions made before no longer fit.
        """
        families = [self._keys.item(""), self._keys.item_index.removesuffix("index")]
        return await clear_keys(self._redis, families)


def _values(item: CatalogueItem) -> tuple[str | bytes, ...]:
    return (
        item.title,
        orjson.dumps(item.genres),
        "" if item.year is None else str(item.year),
        "1" if item.available else "0",
        b"" if item.attributes is None else orjson.dumps(item.attributes),
    )


def _change(item_id: str, fields: Sequence[bytes | None]) -> CatalogueChange:
    index, title, genres, year, available, attributes = fields
    item = CatalogueItem(
        item_id=item_id,
        title=(title or b"").decode(),
        genres=orjson.loads(genres) if genres else (),
        year=int(year) if year else None,
        available=available != b"0",
        attributes=orjson.loads(attributes) if attributes else None,
    )
    return CatalogueChange(int(index or 0), item)
