"""Deleting by prefix, in small steps, so that a large store is never blocked."""

from collections.abc import Iterable

from redis.asyncio import Redis

from millrace.keys import Keys
from streams.store.connect import RedisErrors

_KEYS_PER_SCAN = 1000
_GLOB_SPECIAL = str.maketrans({char: f"\\{char}" for char in "*?[]^\\"})


async def clear_keys(redis: Redis, prefixes: Iterable[str]) -> int:
    """Delete every key that starts with one of the prefixes; returns how many."""
    return sum([await _clear_prefix(redis, prefix) for prefix in prefixes])


async def clear_all(redis: Redis, keys: Keys) -> int:
    """Delete everything Millrace keeps in Redis: users, items, indexes, statistics, watermarks, serving."""
    return await clear_keys(redis, [keys.prefix])


async def _clear_prefix(redis: Redis, prefix: str) -> int:
    pattern = prefix.translate(_GLOB_SPECIAL) + "*"
    cursor, deleted = b"0", 0
    with RedisErrors(f"deleting the keys {prefix}*"):
        while True:
            cursor, found = await redis.execute_command("SCAN", cursor, "MATCH", pattern, "COUNT", _KEYS_PER_SCAN)
            if found:
                deleted += await redis.execute_command("UNLINK", *found)
            if int(cursor) == 0:
                return deleted
