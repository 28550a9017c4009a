"""All four stores on one connection."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from millrace.kernel.keys import Keys
from millrace.kernel.settings import Settings
from millrace.stores.redis.connect import Client, connected
from millrace.stores.redis.maintenance import clear_all
from millrace.stores.redis.redis_catalogue import RedisCatalogueStore
from millrace.stores.redis.redis_serving import RedisServingStore
from millrace.stores.redis.redis_statistics import RedisStatisticsStore
from millrace.stores.redis.redis_users import RedisUserStore


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores of one event loop.

    Args:
        redis: Their shared client.
        keys: The key names they use.
        users: Users and the workers' watermarks.
        catalogue: Items.
        statistics: Item pages and popularity.
        serving: Plan, cards, live quality, heartbeats.
    """

    redis: Client
    keys: Keys
    users: RedisUserStore
    catalogue: RedisCatalogueStore
    statistics: RedisStatisticsStore
    serving: RedisServingStore

    async def clear(self) -> int:
        """Delete everything Millrace keeps in Redis; returns the number of keys."""
        return await clear_all(self.redis, self.keys)


def make_stores(redis: Client, settings: Settings) -> Stores:
    """Return the stores on a client that the caller opens and closes."""
    keys, topic = Keys.of(settings), settings.topics.events
    return Stores(
        redis,
        keys,
        RedisUserStore(redis, keys, topic),
        RedisCatalogueStore(redis, keys),
        RedisStatisticsStore(redis, keys, topic),
        RedisServingStore(redis, keys),
    )


@asynccontextmanager
async def open_stores(settings: Settings) -> AsyncIterator[Stores]:
    """Open the stores for the length of a block.

    Raises:
        TransientError: Redis does not answer.
        ConfigurationError: `redis_url` is unusable, or the login is refused.
    """
    async with connected(settings) as redis:
        yield make_stores(redis, settings)
