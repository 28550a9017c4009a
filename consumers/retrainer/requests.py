"""Asking a running retrainer to train now."""

import asyncio
import json
import time
import uuid
from collections.abc import Sequence

from millrace.kernel.keys import Keys
from millrace.kernel.settings import Settings
from millrace.stores.redis.connect import Client, RedisErrors, connected


def request_retraining(settings: Settings) -> None:
    """Ask for a training; a retrainer that is busy comes to it afterwards, one that is away when it is back.

    Raises:
        TransientError: Redis does not answer.
    """
    asyncio.run(_request(settings))


async def _request(settings: Settings) -> None:
    async with connected(settings) as redis:
        request = json.dumps({"requested_ms": time.time_ns() // 1_000_000, "id": uuid.uuid4().hex})
        with RedisErrors("asking for a training"):
            await redis.execute_command("RPUSH", Keys.of(settings).retrain, request)


async def pending_requests(redis: Client, keys: Keys) -> list[bytes]:
    """Return the requests that wait: one training answers them all."""
    with RedisErrors("looking for requests to train"):
        return list(await redis.execute_command("LRANGE", keys.retrain, 0, -1))


async def remove_requests(redis: Client, keys: Keys, answered: Sequence[bytes]) -> None:
    """Remove requests that a training has answered; those that came while it ran stay."""
    with RedisErrors("removing requests to train"):
        for request in answered:
            # By value and not by place: a call whose answer is lost is sent again.
            await redis.execute_command("LREM", keys.retrain, 0, request)
