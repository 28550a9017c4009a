"""Watermarks of a role's partitions: claiming, reading, and placing them after a rebuild."""

from collections.abc import Mapping, Sequence

from millrace.kernel.keys import Keys
from millrace.stores.redis.cluster import together
from millrace.stores.redis.connect import Client
from millrace.stores.redis.fencing import CLAIM
from millrace.stores.redis.scripts import Call, run_scripts
from millrace.stores.redis.values import Watermark


async def claim(
    redis: Client, keys: Keys, role: str, topic: str, partitions: Sequence[int], owner: str
) -> dict[int, Watermark]:
    """Make `owner` the only one whose writes to these partitions are accepted; returns where each stands."""
    if not partitions:
        return {}
    # Before the claims: a partition that is listed without a watermark counts as not begun.
    await redis.execute_command("SADD", keys.watermark_partitions(role, topic), *partitions)
    calls = [Call(CLAIM, [keys.watermark(role, topic, each)], [owner]) for each in partitions]
    marks = await run_scripts(redis, calls)
    return {each: Watermark(int(state), int(done)) for each, (state, done) in zip(partitions, marks, strict=True)}


async def read_watermarks(redis: Client, keys: Keys, role: str, topic: str) -> dict[int, Watermark]:
    """Return the watermark of every partition the role has ever claimed."""
    members = await redis.execute_command("SMEMBERS", keys.watermark_partitions(role, topic))
    partitions = sorted(map(int, members))
    pipeline = redis.pipeline(transaction=False)
    for partition in partitions:
        pipeline.execute_command("HMGET", keys.watermark(role, topic, partition), "state", "done")
    marks = await pipeline.execute()
    return {
        partition: Watermark(*(-1 if offset is None else int(offset) for offset in mark))
        for partition, mark in zip(partitions, marks, strict=True)
    }


async def write_watermarks(
    redis: Client, keys: Keys, role: str, topic: str, watermarks: Mapping[int, Watermark]
) -> None:
    """Set watermarks and remove the owners, who have to claim their partitions again."""
    pipeline = together(redis)
    for partition, mark in watermarks.items():
        key = keys.watermark(role, topic, partition)
        # Fence first: on a cluster this is no transaction, and no role may write in between.
        pipeline.execute_command("HDEL", key, "owner")
        pipeline.execute_command("HSET", key, "state", mark.state, "done", mark.done)
        pipeline.execute_command("SADD", keys.watermark_partitions(role, topic), partition)
    await pipeline.execute()
