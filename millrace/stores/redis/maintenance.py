"""Listing and deleting by prefix, in small steps, so that a large store is never blocked."""

from collections.abc import AsyncIterator, Iterable

from redis.asyncio import Redis

from millrace.kernel.keys import Keys
from millrace.stores.redis.cluster import every_primary
from millrace.stores.redis.connect import Client, RedisErrors

_KEYS_PER_SCAN = 1000
_GLOB_SPECIAL = str.maketrans({char: f"\\{char}" for char in "*?[]^\\"})


async def names_below(redis: Client, prefixes: Iterable[str]) -> set[str]:
    """Return what follows one of the prefixes in the name of a key; a key written meanwhile may be missed."""
    return {name for prefix in dict.fromkeys(prefixes) for name in await _names_below(redis, prefix)}


async def _names_below(redis: Client, prefix: str) -> set[str]:
    names: set[str] = set()
    with RedisErrors(f"listing the keys {prefix}*"):
        async with every_primary(redis) as servers:
            for server in servers:
                async for found in matching(server, literal(prefix) + "*"):
                    names.update(key.decode()[len(prefix) :] for key in found)
    return names


async def clear_keys(redis: Client, prefixes: Iterable[str]) -> int:
    """Delete every key that starts with one of the prefixes; returns how many."""
    return sum([await _clear_prefix(redis, prefix) for prefix in dict.fromkeys(prefixes)])


async def clear_all(redis: Client, keys: Keys) -> int:
    """Delete everything Millrace keeps in Redis: users, items, indexes, statistics, watermarks, serving."""
    return await clear_keys(redis, [keys.prefix])


async def _clear_prefix(redis: Client, prefix: str) -> int:
    with RedisErrors(f"deleting the keys {prefix}*"):
        async with every_primary(redis) as servers:
            return sum([await _clear_on(server, prefix) for server in servers])


async def _clear_on(server: Redis, prefix: str) -> int:
    deleted = 0
    async for found in matching(server, literal(prefix) + "*"):
        pipeline = server.pipeline(transaction=False)
        for key in found:
            # One by one: a cluster refuses commands on keys of several slots.
            pipeline.execute_command("UNLINK", key)
        deleted += sum(map(int, await pipeline.execute()))
    return deleted


def literal(text: str) -> str:
    """Return a pattern that matches exactly this text."""
    return text.translate(_GLOB_SPECIAL)


async def matching(server: Redis, pattern: str, keys_per_scan: int = _KEYS_PER_SCAN) -> AsyncIterator[list[bytes]]:
    """Yield the keys of one server that match a pattern, some at a time."""
    cursor = b"0"
    while True:
        cursor, found = await server.execute_command("SCAN", cursor, "MATCH", pattern, "COUNT", keys_per_scan)
        if found:
            yield found
        if int(cursor) == 0:
            return
