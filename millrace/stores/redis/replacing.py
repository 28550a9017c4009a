"""Replaces state by that of a rebuild while the roles run; refused once a role has moved since the claim.

A rebuild claims the partitions, which fences every batch under way, computes state as of the watermarks found, and
writes under its own token. Roles claim their partitions back within a second; what is not written by then is refused
and has to be computed anew.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby

from redis.asyncio import Redis
from redis.exceptions import WatchError

from millrace.kernel.keys import Keys
from millrace.kernel.user_state import UserState
from millrace.stores.redis.cluster import primary_of
from millrace.stores.redis.codec import encode_events, encode_touched
from millrace.stores.redis.connect import Client, RedisErrors
from millrace.stores.redis.maintenance import names_below
from millrace.stores.redis.redis_statistics import KEEPER_ROLE, RedisStatisticsStore
from millrace.stores.redis.redis_users import WORKER_ROLE
from millrace.stores.redis.scripts import Call, Script, run_scripts
from millrace.stores.redis.values import StatisticsFlush
from millrace.stores.redis.watermarks import claim

# Partition -> last offset applied.
Marks = Mapping[int, int]

_STAGING = "rebuild:"

_GUARD = """
for each = 1, tonumber(ARGV[1]) do
  local mark = redis.call('HMGET', KEYS[each], 'owner', 'state')
  if mark[1] ~= ARGV[2] or (mark[2] or '-1') ~= ARGV[2 + each] then return 0 end
end
"""

# KEYS: watermarks, then per user its hash and its touched string. ARGV: number of watermarks, owner, expected state of
# each; per user: count, value_sum, last_ts_ms, history, event_hashes, touched, or six empty ones to delete the user.
_REPLACE_USERS = Script(
    _GUARD
    + """
local arg = tonumber(ARGV[1]) + 3
for key = tonumber(ARGV[1]) + 1, #KEYS, 2 do
  if ARGV[arg] == '' then
    redis.call('UNLINK', KEYS[key], KEYS[key + 1])
  else
    redis.call('HSET', KEYS[key], 'count', ARGV[arg], 'value_sum', ARGV[arg + 1], 'last_ts_ms', ARGV[arg + 2],
               'history', ARGV[arg + 3], 'event_hashes', ARGV[arg + 4])
    redis.call('SET', KEYS[key + 1], ARGV[arg + 5])
  end
  arg = arg + 6
end
return 1
"""
)

# KEYS: watermarks, then one per value. ARGV: number of watermarks, owner, expected state of each; per value: what to
# put there, or an empty one to delete it.
_REPLACE_VALUES = Script(
    _GUARD
    + """
local arg = tonumber(ARGV[1]) + 3
for key = tonumber(ARGV[1]) + 1, #KEYS do
  if ARGV[arg] == '' then redis.call('UNLINK', KEYS[key]) else redis.call('SET', KEYS[key], ARGV[arg]) end
  arg = arg + 1
end
return 1
"""
)


class UserReplacement:
    """Writes users as of given watermarks.

    Args:
        redis: A client of the running event loop.
        keys: The key names.
        topic: Full name of the events topic.
    """

    role = WORKER_ROLE

    def __init__(self, redis: Client, keys: Keys, topic: str) -> None:
        self._redis = redis
        self._keys = keys
        self._topic = topic

    @property
    def partitions(self) -> Sequence[int]:
        """The partitions known without watermarks: on a Redis Cluster each guards its own users."""
        return range(self._keys.partitions)

    async def claim(self, partitions: Sequence[int], owner: str) -> dict[int, int]:
        """Fence the workers and return how far they are."""
        return await _claim(self._redis, self._keys, self.role, self._topic, partitions, owner)

    async def replace(self, states: Sequence[UserState], owner: str, marks: Marks) -> bool:
        """Write users, except for the lists last shown; a user without events is deleted.

        Args:
            states: The users as of `marks`.
            owner: The token of the claim.
            marks: Every partition claimed, and how far it was.

        Returns:
            False if a partition has been claimed or has moved since; part of it may then be written.
        """
        home = self._keys.home
        # On a single server all partitions are one group, under the home None.
        ordered = sorted(states, key=lambda state: home(state.user_id) or 0)
        calls = []
        for place, members in groupby(ordered, key=lambda state: home(state.user_id)):
            guards = marks if place is None else {place: marks.get(place, -1)}
            calls.append(self._call(list(members), owner, guards))
        with RedisErrors("replacing users"):
            return all(await run_scripts(self._redis, calls)) if calls else True

    def _call(self, states: Sequence[UserState], owner: str, marks: Marks) -> Call:
        keys = [self._keys.watermark(self.role, self._topic, each) for each in marks]
        args: list[str | bytes | int | float] = [len(marks), owner, *marks.values()]
        for state in states:
            keys += [self._keys.user(state.user_id), self._keys.touched(state.user_id)]
            args += [*encode_events(state), encode_touched(state.touched)] if state.count else [b""] * 6
        return Call(_REPLACE_USERS, keys, args)


class StatisticsReplacement:
    """Writes the keeper's state as of given watermarks: tails in parts, pages and popularity all at once.

    The latter are put beside the old ones first. To exchange them is then to rename keys, in one short transaction:
    whoever reads sees the old statistics or the new ones.

    Args:
        redis: A client of the running event loop.
        keys: The key names.
        topic: Full name of the events topic.
    """

    role = KEEPER_ROLE

    def __init__(self, redis: Client, keys: Keys, topic: str) -> None:
        self._redis = redis
        self._keys = keys
        self._topic = topic
        self._staged_keys = Keys(f"{keys.prefix}{_STAGING}", keys.partitions)
        self._staged = RedisStatisticsStore(redis, self._staged_keys, topic)
        self._pages: set[int] = set()
        self._chunks: set[int] = set()
        # Whether an exchange was sent whose outcome is unknown.
        self._sent = False

    @property
    def partitions(self) -> Sequence[int]:
        """The partitions known without watermarks: none, the keeper has a watermark for each."""
        return ()

    async def claim(self, partitions: Sequence[int], owner: str) -> dict[int, int]:
        """Fence the keeper and return how far it is."""
        return await _claim(self._redis, self._keys, self.role, self._topic, partitions, owner)

    async def clear(self) -> None:
        """Remove staged values, such as those of a rebuild that was killed."""
        await self._staged.clear()
        self._forget_staged()

    async def stage(self, pages: Mapping[int, bytes], popularity: Mapping[int, bytes]) -> None:
        """Stage values beside the old ones; values staged under the same numbers are replaced."""
        await self._staged.flush("", StatisticsFlush(pages, popularity, {}, {}, {}))
        self._pages.update(pages)
        self._chunks.update(popularity)

    async def replace_tails(self, tails: Mapping[str, bytes], owner: str, marks: Marks) -> bool:
        """Write tails; an empty one is deleted. False if a partition has been claimed or has moved since the claim."""
        if not tails:
            return True
        keys = [self._watermark(each) for each in marks] + [self._keys.tail(user_id) for user_id in tails]
        call = Call(_REPLACE_VALUES, keys, [len(marks), owner, *marks.values(), *tails.values()])
        with RedisErrors("replacing tails"):
            return all(await run_scripts(self._redis, [call]))

    async def old_names(self) -> list[str]:
        """Return the keys of all pages and chunks that are in use."""
        families = [self._keys.page(0)[:-1], self._keys.popularity(0)[:-1]]
        return [family + name for family in families for name in await names_below(self._redis, [family])]

    async def switch(self, scalars: Mapping[str, str], old: Sequence[str], owner: str, marks: Marks) -> bool:
        """Put all staged values in place, in one transaction.

        Args:
            scalars: The totals that belong to it.
            old: Keys in use; those that nothing was staged for are deleted.
            owner: The token of the claim.
            marks: Every partition claimed, and how far it was.

        Returns:
            False if a partition has been claimed or has moved since; nothing is changed then.
        """
        staged = {self._staged_keys.page(item): self._keys.page(item) for item in self._pages}
        staged |= {self._staged_keys.popularity(chunk): self._keys.popularity(chunk) for chunk in self._chunks}
        stale = set(old) - set(staged.values())
        with RedisErrors("exchanging the statistics"):
            async with (
                primary_of(self._redis, self._keys.statistics) as server,
                server.pipeline(transaction=True) as pipeline,
            ):
                if marks:
                    await pipeline.watch(*map(self._watermark, marks))
                for partition, state in marks.items():
                    mark: list[bytes | None] = await pipeline.execute_command(  # type: ignore[assignment]
                        "HMGET", self._watermark(partition), "owner", "state"
                    )
                    if mark[0] != owner.encode() or int(mark[1] or -1) != state:
                        return False
                left = await self._left(server, staged)
                pipeline.multi()
                for name, place in left.items():
                    pipeline.execute_command("RENAME", name, place)
                for name in sorted(stale):
                    pipeline.execute_command("UNLINK", name)
                pipeline.execute_command("UNLINK", self._keys.statistics)
                flat = [part for pair in scalars.items() for part in pair]
                pipeline.execute_command("HSET", self._keys.statistics, *flat)
                self._sent = True
                try:
                    await pipeline.execute()
                except WatchError:
                    return False
        self._forget_staged()
        return True

    async def _left(self, server: Redis, staged: Mapping[str, str]) -> Mapping[str, str]:
        """Return what is still staged: an exchange whose answer was lost has put the rest in place."""
        if not self._sent:
            return staged
        pipeline = server.pipeline(transaction=False)
        for name in staged:
            pipeline.execute_command("EXISTS", name)
        there = await pipeline.execute()
        return {name: staged[name] for name, found in zip(staged, there, strict=True) if found}

    def _forget_staged(self) -> None:
        self._pages.clear()
        self._chunks.clear()
        self._sent = False

    def _watermark(self, partition: int) -> str:
        return self._keys.watermark(self.role, self._topic, partition)


async def _claim(
    redis: Client, keys: Keys, role: str, topic: str, partitions: Sequence[int], owner: str
) -> dict[int, int]:
    with RedisErrors("claiming partitions for a rebuild"):
        marks = await claim(redis, keys, role, topic, partitions, owner)
    return {partition: mark.state for partition, mark in marks.items()}
