"""Asking a running retrainer to train now."""

import asyncio
import json
import time

from redis.asyncio import Redis

from millrace.config import Settings
from millrace.keys import Keys
from streams.store.connect import RedisErrors, connected


def request_retraining(settings: Settings) -> None:
    """Ask for a training; a retrainer that is busy comes to it afterwards, one that is away when it is back.

    Raises:
        TransientError: Redis does not answer.
    """
    asyncio.run(_request(settings))


async def _request(settings: Settings) -> None:
    async with connected(settings) as redis:
        request = json.dumps({"requested_ms": time.time_ns() // 1_000_000})
        with RedisErrors("asking for a training"):
            await redis.execute_command("RPUSH", Keys(settings.redis_prefix).retrain, request)


async def take_requests(redis: Redis, keys: Keys) -> int:
    """Remove all requests and return how many there were: one training answers them all."""
    pipeline = redis.pipeline(transaction=True)
    pipeline.execute_command("LLEN", keys.retrain)
    pipeline.execute_command("DEL", keys.retrain)
    with RedisErrors("looking for requests to train"):
        count, _ = await pipeline.execute()
    return int(count)
