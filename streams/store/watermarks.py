"""Watermarks of a role's partitions: claiming, reading, and placing them after a rebuild."""

from collections.abc import Mapping, Sequence

from redis.asyncio import Redis

from millrace.keys import Keys
from streams.store.fencing import CLAIM
from streams.store.protocols import Watermark
from streams.store.scripts import Call, run_scripts


async def claim(
    redis: Redis, keys: Keys, role: str, topic: str, partitions: Sequence[int], owner: str
) -> dict[int, Watermark]:
    """Make `owner` the only one whose writes to these partitions are accepted; returns where each stands."""
    index = keys.watermark_partitions(role, topic)
    calls = [Call(CLAIM, [keys.watermark(role, topic, each), index], [each, owner]) for each in partitions]
    marks = await run_scripts(redis, calls) if calls else []
    return {each: Watermark(int(state), int(done)) for each, (state, done) in zip(partitions, marks, strict=True)}


async def read_watermarks(redis: Redis, keys: Keys, role: str, topic: str) -> dict[int, Watermark]:
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
    redis: Redis, keys: Keys, role: str, topic: str, watermarks: Mapping[int, Watermark]
) -> None:
    """Set watermarks; the owners are removed, so that whoever held a partition has to claim it again."""
    pipeline = redis.pipeline(transaction=True)
    for partition, mark in watermarks.items():
        key = keys.watermark(role, topic, partition)
        pipeline.execute_command("HSET", key, "state", mark.state, "done", mark.done)
        pipeline.execute_command("HDEL", key, "owner")
        pipeline.execute_command("SADD", keys.watermark_partitions(role, topic), partition)
    await pipeline.execute()
