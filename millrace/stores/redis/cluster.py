"""The differences of a Redis Cluster: scripts, scans and transactions go to single nodes.

Everything else takes the same commands on both, since keys that belong together carry the same hash tag.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from redis.asyncio import ConnectionPool, Redis, RedisCluster
from redis.asyncio.client import Pipeline
from redis.asyncio.cluster import ClusterNode, ClusterPipeline

from millrace.stores.redis.connect import Client


async def load_script(redis: Client, source: str) -> None:
    """Load a script on every node that may run it."""
    if isinstance(redis, RedisCluster):
        await redis.execute_command("SCRIPT LOAD", source, target_nodes=RedisCluster.PRIMARIES)
    else:
        await redis.execute_command("SCRIPT LOAD", source)


def together(redis: Client) -> Pipeline | ClusterPipeline:
    """Return a pipeline, which on a single server is a transaction.

    For writes that are safe in any state between; a script or `primary_of` makes a real transaction on both.
    """
    return redis.pipeline(transaction=not isinstance(redis, RedisCluster))


@asynccontextmanager
async def primary_of(redis: Client, key: str) -> AsyncIterator[Redis]:
    """Lend a client of the one server that holds a key, for transactions on keys with the same hash tag."""
    if not isinstance(redis, RedisCluster):
        yield redis
        return
    # Asked through the cluster, so that its client learns where the key is now.
    await redis.execute_command("EXISTS", key)
    async with _client_of(redis.get_node_from_key(key)) as primary:
        yield primary


@asynccontextmanager
async def every_primary(redis: Client) -> AsyncIterator[list[Redis]]:
    """Lend clients that together see every key."""
    if not isinstance(redis, RedisCluster):
        yield [redis]
        return
    await redis.initialize()
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(_client_of(node)) for node in redis.get_primaries()]


@asynccontextmanager
async def _client_of(node: ClusterNode | None) -> AsyncIterator[Redis]:
    if node is None:
        raise ConnectionError("no node of the cluster holds the key")
    client = Redis(connection_pool=ConnectionPool(connection_class=node.connection_class, **node.connection_kwargs))
    try:
        yield client
    finally:
        await client.aclose()
        await client.connection_pool.disconnect()
