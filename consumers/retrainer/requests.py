"""Asking a running retrainer to train now."""

import asyncio
import json
import time

from millrace.config import Settings
from millrace.keys import Keys
from streams.store.connect import Client, RedisErrors, connected
from streams.store.scripts import Call, Script, run_scripts

# KEYS: the list of requests. Returns how many there were.
_TAKE = Script(
    """
local count = redis.call('LLEN', KEYS[1])
redis.call('DEL', KEYS[1])
return count
"""
)


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
            await redis.execute_command("RPUSH", Keys.of(settings).retrain, request)


async def take_requests(redis: Client, keys: Keys) -> int:
    """Remove all requests and return how many there were: one training answers them all."""
    with RedisErrors("looking for requests to train"):
        (count,) = await run_scripts(redis, [Call(_TAKE, [keys.retrain], [])])
    return int(count)
