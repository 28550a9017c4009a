"""Lua scripts sent by their hash, many in one round trip, and loaded again when the server has forgotten them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha1
from typing import Any

from redis.exceptions import NoScriptError

from millrace.stores.redis.cluster import load_script
from millrace.stores.redis.connect import Client


@dataclass(frozen=True, slots=True)
class Script:
    """One Lua script.

    Args:
        source: Its text; it must recognise its own repetition, since a lost answer makes the client send it again.
    """

    source: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha", sha1(self.source.encode(), usedforsecurity=False).hexdigest())


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a script: its keys and arguments."""

    script: Script
    keys: Sequence[str | bytes]
    args: Sequence[str | bytes | int | float]


async def run_scripts(redis: Client, calls: Sequence[Call]) -> list[Any]:
    """Run scripts in one round trip (two when the server does not know them yet) and return their results in order.

    Raises:
        RedisError: Of the first call that failed; the others have run all the same.
    """
    results = await _send(redis, calls)
    if any(isinstance(result, NoScriptError) for result in results):
        for source in {call.script.source for call in calls}:
            await load_script(redis, source)
        results = await _send(redis, calls)
    for result in results:
        if isinstance(result, Exception):
            raise result
    return results


async def _send(redis: Client, calls: Sequence[Call]) -> list[Any]:
    if len(calls) == 1:
        try:
            return [await redis.execute_command(*_command(calls[0]))]
        except NoScriptError as error:
            return [error]
    pipeline = redis.pipeline(transaction=False)
    for call in calls:
        pipeline.execute_command(*_command(call))
    return await pipeline.execute(raise_on_error=False)


def _command(call: Call) -> tuple[Any, ...]:
    return ("EVALSHA", call.script.sha, len(call.keys), *call.keys, *call.args)
