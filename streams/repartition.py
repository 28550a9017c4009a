"""Lays users out for another number of partitions of the events topic, once all earlier events are handled.

On a single Redis no keys move; the check ensures that no user's next event, now in another partition, is handled before
the last one. On a Redis Cluster each user's keys move to the hash tag of their new partition. A user is written there
before the old keys are deleted, and the number is recorded only when all have moved: repeat a run that was killed.
"""

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from redis.asyncio import Redis

from millrace.kernel.errors import ConfigurationError
from millrace.kernel.keys import Keys
from millrace.stores.redis.cluster import every_primary
from millrace.stores.redis.connect import Client, RedisErrors
from millrace.stores.redis.layout import TopicLayout
from millrace.stores.redis.maintenance import literal, matching
from millrace.stores.redis.values import Watermark

# Users moved at a time: some megabytes, tens of milliseconds.
_USERS_PER_STEP = 500

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Repartitioned:
    """The outcome.

    Args:
        before: Partitions that users were laid out for; None if no worker had ever run.
        partitions: Partitions they are laid out for now.
        moved: Users whose keys have moved.
    """

    before: int | None
    partitions: int
    moved: int


def check_all_done(role: str, marks: Mapping[int, Watermark], ends: Mapping[int, int], before: int | None) -> None:
    """Make sure that a role has handled everything in the partitions there were.

    Args:
        role: Whose watermarks they are, for the message.
        marks: Its watermarks by partition.
        ends: The end of each partition, the offset that its next record gets.
        before: How many partitions users are laid out for; None for all.

    Raises:
        ConfigurationError: Something is left; the text says how much.
    """
    left = {
        partition: end - 1 - marks.get(partition, Watermark()).done
        for partition, end in ends.items()
        if before is None or partition < before
    }
    waiting = sum(count for count in left.values() if count > 0)
    if waiting:
        raise ConfigurationError(
            f"The {role} has {waiting} events of the old partitions to handle yet; let it run until `millrace status` "
            "shows no lag, stop it, and try again."
        )


async def move_users(redis: Client, keys: Keys, partitions: int, on_progress: Progress = lambda moved: None) -> int:
    """Move each user's keys to where they belong with another number of partitions; returns how many have moved.

    Raises:
        TransientError: Redis does not answer; what has moved stays so, call it again.
    """
    if not keys.clustered:
        return 0
    moved = 0
    with RedisErrors("moving users"):
        async with every_primary(redis) as primaries:
            for primary in primaries:
                async for users in _users_away(primary, keys, partitions):
                    await _move(redis, users, replace(keys, partitions=partitions))
                    moved += len(users)
                    on_progress(moved)
    return moved


async def repartition(
    redis: Client, keys: Keys, topic: str, partitions: int, on_progress: Progress = lambda moved: None
) -> Repartitioned:
    """Lay users out for a number of partitions; nobody may write meanwhile.

    Args:
        redis: A client of the running event loop.
        keys: The key names.
        topic: Full name of the events topic.
        partitions: How many it has by now.
        on_progress: Called with the number of users moved.
    """
    layout = TopicLayout(redis, keys, topic)
    before = await layout.partitions()
    moved = 0 if before == partitions else await move_users(redis, keys, partitions, on_progress)
    await layout.set_partitions(partitions)
    return Repartitioned(before, partitions, moved)


@dataclass(frozen=True, slots=True)
class _User:
    user_id: str
    hash_key: bytes
    touched_key: bytes


async def _users_away(primary: Redis, keys: Keys, partitions: int) -> AsyncIterator[list[_User]]:
    """Yield the users of one node that are not where they belong."""
    target = replace(keys, partitions=partitions)
    shape = re.compile(re.escape(keys.prefix.encode()) + rb"\{p(\d+)\}:user:(.+)", re.DOTALL)
    async for found in matching(primary, literal(keys.prefix) + "{p*}:user:*", _USERS_PER_STEP):
        users = []
        for key in found:
            if (match := shape.fullmatch(key)) and (user_id := match[2].decode()):
                old = key[: len(key) - len(b"user:" + match[2])]
                if int(match[1]) != target.home(user_id):
                    users.append(_User(user_id, key, old + b"touched:" + match[2]))
        if users:
            yield users


async def _move(redis: Client, users: Sequence[_User], target: Keys) -> None:
    """Copy users to their new keys, then remove the old ones."""
    reading = redis.pipeline(transaction=False)
    for user in users:
        reading.execute_command("HGETALL", user.hash_key)
        reading.execute_command("GET", user.touched_key)
    values = await reading.execute()
    writing = redis.pipeline(transaction=False)
    for user, fields, touched in zip(users, values[::2], values[1::2], strict=True):
        if not fields:
            continue
        new, new_touched = target.user(user.user_id), target.touched(user.user_id)
        writing.execute_command("UNLINK", new, new_touched)
        writing.execute_command("HSET", new, *(part for field in fields.items() for part in field))
        if touched is not None:
            writing.execute_command("SET", new_touched, touched)
    await writing.execute()
    removing = redis.pipeline(transaction=False)
    for user in users:
        removing.execute_command("UNLINK", user.hash_key, user.touched_key)
    await removing.execute()
