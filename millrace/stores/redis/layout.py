"""The number of partitions of the events topic that the users in Redis are laid out for; others are refused.

Kafka chooses a user's partition by the number of partitions. When that grows, users move: their next event is in
another partition than those before, perhaps not handled yet, and on a Redis Cluster their keys belong to another hash
tag. `millrace repartition` brings both into order; until then the new partitions are not touched.
"""

from millrace.kernel.errors import ConfigurationError, FatalError
from millrace.kernel.keys import Keys
from millrace.stores.redis.connect import Client, RedisErrors

_PARTITIONS = "partitions"


class TopicLayout:
    """Reads, checks and moves the number that users are laid out for.

    Args:
        redis: A client of the running event loop.
        keys: The key names.
        topic: Full name of the events topic, for messages.
    """

    def __init__(self, redis: Client, keys: Keys, topic: str) -> None:
        self._redis = redis
        self._keys = keys
        self._topic = topic

    async def partitions(self) -> int | None:
        """Return the number that users are laid out for; None before the first worker."""
        with RedisErrors("reading how users are laid out"):
            count = await self._redis.execute_command("HGET", self._keys.layout, _PARTITIONS)
        return None if count is None else int(count)

    async def set_partitions(self, count: int) -> None:
        """Record that users are laid out for this number of partitions."""
        with RedisErrors("writing how users are laid out"):
            await self._redis.execute_command("HSET", self._keys.layout, _PARTITIONS, count)

    async def usable(self, count: int) -> int:
        """Return how many of the topic's partitions may be worked on; the first call fixes the number.

        Args:
            count: How many the topic has.

        Raises:
            FatalError: It has fewer than users are laid out for: it was created anew.
            ConfigurationError: The settings of a Redis Cluster name another number than users are laid out for.
            TransientError: Redis does not answer.
        """
        if await self.partitions() is None:
            self._check_settings(count)
            with RedisErrors("writing how users are laid out"):
                await self._redis.execute_command("HSETNX", self._keys.layout, _PARTITIONS, count)
        known = await self.partitions() or count
        self._check_settings(known)
        if known > count:
            raise FatalError(
                f"{self._topic} has {count} partitions, but users are laid out for {known}: it was created anew. Stop "
                f"everything and run `millrace repartition --partitions {count}`."
            )
        return known

    def _check_settings(self, count: int) -> None:
        if self._keys.clustered and self._keys.partitions != count:
            raise ConfigurationError(
                f"Users are laid out for the {count} partitions of {self._topic}, but MILLRACE_TOPIC_PARTITIONS is "
                f"{self._keys.partitions}, and on a Redis Cluster it decides where they are kept: set it to {count}, "
                "or run `millrace repartition`."
            )
