"""Deleting by prefix, in small steps, so that a large store is never blocked."""

from collections.abc import Iterable

from redis.asyncio import Redis

from millrace.keys import Keys
from streams.store.cluster import every_primary
from streams.store.connect import Client, RedisErrors

_KEYS_PER_SCAN = 1000
_GLOB_SPECIAL = str.maketrans({char: f"\\{char}" for char in "*?[]^\\"})


async def clear_keys(redis: Client, prefixes: Iterable[str]) -> int:
    """Delete every key that starts with one of the prefixes; returns how many."""
    return sum([await _clear_prefix(redis, prefix) for prefix in dict.fromkeys(prefixes)])


async def clear_all(redis: Client, keys: Keys) -> int:
    """Delete everything Millrace keeps in Redis: users, items, indexes, statistics, watermarks, serving."""
    return await clear_keys(redis, [keys.prefix])


async def _clear_prefix(redis: Client, prefix: str) -> int:
    pattern = prefix.translate(_GLOB_SPECIAL) + "*"
    with RedisErrors(f"deleting the keys {prefix}*"):
        async with every_primary(redis) as servers:
            return sum([await _clear_matching(server, pattern) for server in servers])


async def _clear_matching(server: Redis, pattern: str) -> int:
    cursor, deleted = b"0", 0
    while True:
        cursor, found = await server.execute_command("SCAN", cursor, "MATCH", pattern, "COUNT", _KEYS_PER_SCAN)
        pipeline = server.pipeline(transaction=False)
        for key in found:
            # One by one: a cluster takes no command whose keys lie apart.
            pipeline.execute_command("UNLINK", key)
        deleted += sum(map(int, await pipeline.execute()))
        if int(cursor) == 0:
            return deleted
