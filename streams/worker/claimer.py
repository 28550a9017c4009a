"""Claiming partitions of the events topic for a worker."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import uuid4

from millrace.runtime.claims import Claim
from millrace.stores.redis.values import Watermark


class ClaimStore(Protocol):
    """What this needs of `RedisUserStore`."""

    async def claim(self, partition: int, owner: str) -> Watermark:
        """Take a partition over."""
        ...


class WorkerClaimer:
    """Claims each partition under a token of its own, so that losing one leaves the others alone.

    Args:
        users: The store that compares the tokens.
    """

    def __init__(self, users: ClaimStore) -> None:
        self._users = users

    async def claim(self, partitions: Sequence[int]) -> Mapping[int, Claim]:
        """Fence all older owners of these partitions and return where to resume."""
        owners = {partition: uuid4().hex for partition in partitions}
        marks = await asyncio.gather(*(self._users.claim(partition, owner) for partition, owner in owners.items()))
        return {
            partition: Claim(owner, mark.state, mark.done)
            for (partition, owner), mark in zip(owners.items(), marks, strict=True)
        }
