"""Users and the workers' watermarks in Redis."""

from collections.abc import Mapping, Sequence

from millrace.kernel.keys import Keys
from millrace.kernel.user_state import UserState
from millrace.stores.redis import fencing
from millrace.stores.redis.codec import (
    LOADED_FIELDS,
    decode_user,
    encode_events,
    encode_proposals,
    encode_served,
    encode_touched,
)
from millrace.stores.redis.connect import Client, RedisErrors
from millrace.stores.redis.grades import summed
from millrace.stores.redis.maintenance import clear_keys, names_below
from millrace.stores.redis.readable import readable_users
from millrace.stores.redis.scripts import Call, run_scripts
from millrace.stores.redis.values import FencedError, PartitionCommit, PartitionFinish, ServedUpdate, Watermark
from millrace.stores.redis.watermarks import claim, read_watermarks, write_watermarks

WORKER_ROLE = "worker"


class RedisUserStore:
    """Users in Redis; written by workers and by a rebuild only.

    Args:
        redis: A client of the running event loop, see `millrace.stores.redis.connect`.
        keys: The key names.
        topic: Full name of the events topic, whose partitions the watermarks count.
        role: The role that handles the partitions.
    """

    def __init__(self, redis: Client, keys: Keys, topic: str, role: str = WORKER_ROLE) -> None:
        self._redis = redis
        self._keys = keys
        self._topic = topic
        self._role = role

    async def claim(self, partition: int, owner: str) -> Watermark:
        """Take a partition over: older owners are fenced from now on. Returns where to resume."""
        with RedisErrors(f"claiming partition {partition}"):
            marks = await claim(self._redis, self._keys, self._role, self._topic, [partition], owner)
        return marks[partition]

    def home(self, user_id: str) -> int | None:
        """Return the only partition whose commits can write a user, or None where any can."""
        return self._keys.home(user_id)

    async def load(self, user_ids: Sequence[str]) -> list[UserState]:
        """Read users in one round trip, in the order asked; an unknown one is an empty state.

        Raises:
            FatalError: A user's state cannot be read.
        """
        if not user_ids:
            return []
        pipeline = self._redis.pipeline(transaction=False)
        homes = [self._keys.home(user_id) for user_id in user_ids]
        groups = list(dict.fromkeys(homes))
        for group in groups:
            members = (user_id for user_id, home in zip(user_ids, homes, strict=True) if home == group)
            pipeline.execute_command("MGET", *map(self._keys.touched, members))
        for user_id in user_ids:
            pipeline.execute_command("HMGET", self._keys.user(user_id), *LOADED_FIELDS)
        with RedisErrors("reading users"):
            answers = await pipeline.execute()
        touched = dict(zip(groups, map(iter, answers[: len(groups)]), strict=True))
        found = zip(user_ids, homes, answers[len(groups) :], strict=True)
        with readable_users():
            return [decode_user(user_id, fields, next(touched[home])) for user_id, home, fields in found]

    async def commit(self, commits: Sequence[PartitionCommit]) -> None:
        """Apply each partition's change atomically, all in one round trip.

        Sending the same commit again, for instance because its answer was lost, changes nothing.

        Raises:
            FencedError: A partition was lost; that partition's change is not applied, the others' are.
        """
        if not commits:
            return
        with RedisErrors("writing users"):
            replies = await run_scripts(self._redis, [self._commit_call(commit) for commit in commits])
        refused = {commit.partition: reply for commit, reply in zip(commits, replies, strict=True) if reply <= 0}
        if refused:
            raise FencedError(_refusal(refused), frozenset(refused))

    def _commit_call(self, commit: PartitionCommit) -> Call:
        live = summed(commit.grades)
        counted = self._keys.in_partition(commit.partition)
        keys = [self._watermark(commit.partition), counted.counters, counted.live_index, counted.exploration]
        keys += [counted.live(*version_and_arm) for version_and_arm in live]
        args: list[str | bytes | int | float] = [commit.owner, commit.expected_state, commit.new_state]
        args += [len(live), len(commit.counters), len(commit.explored)]
        for (version, arm), counts in live.items():
            args += [f"{version}:{arm}", *counts]
        for name, increment in (*commit.counters.items(), *commit.explored.items()):
            args += [name, increment]
        for user in commit.users:
            keys += [self._keys.user(user.user_id), self._keys.touched(user.user_id)]
            args += [*encode_events(user), encode_touched(commit.new_touched.get(user.user_id, ()))]
        return Call(fencing.COMMIT, keys, args)

    async def finish(
        self,
        partition: int,
        owner: str,
        done: int,
        served: Sequence[ServedUpdate],
        counters: Mapping[str, int],
    ) -> None:
        """Record the lists served and advance the `done` watermark, atomically; it never goes back.

        A `done` that is already reached changes nothing, neither lists nor counters.

        Raises:
            FencedError: The partition was lost, or `state` lies before `done`: Redis has gone back.
        """
        await self.finish_all([PartitionFinish(partition, owner, done, served, counters)])

    async def finish_all(self, finishes: Sequence[PartitionFinish]) -> None:
        """Do `finish` for several partitions in one round trip, each atomically.

        Raises:
            FencedError: A partition was lost, or its `state` lies before `done`; the others are finished.
        """
        if not finishes:
            return
        with RedisErrors("recording served lists"):
            replies = await run_scripts(self._redis, [self._finish_call(finish) for finish in finishes])
        refused = {finish.partition: reply for finish, reply in zip(finishes, replies, strict=True) if reply <= 0}
        if refused:
            raise FencedError(_refusal(refused), frozenset(refused))

    def _finish_call(self, finish: PartitionFinish) -> Call:
        counted = self._keys.in_partition(finish.partition)
        keys = [self._watermark(finish.partition), counted.counters, counted.exploration]
        args: list[str | bytes | int | float] = [finish.owner, finish.done, len(finish.counters)]
        args.append(len(finish.explored))
        for name, increment in (*finish.counters.items(), *finish.explored.items()):
            args += [name, increment]
        for update in finish.served:
            keys.append(self._keys.user(update.user_id))
            proposals = b"" if update.proposals is None else encode_proposals(update.proposals)
            args += [encode_served(update.served), proposals, update.record]
        return Call(fencing.FINISH, keys, args)

    async def watermarks(self, role: str, topic: str) -> dict[int, Watermark]:
        """Return the watermarks of every partition a role has handled."""
        with RedisErrors("reading watermarks"):
            return await read_watermarks(self._redis, self._keys, role, topic)

    async def set_watermarks(self, role: str, topic: str, watermarks: Mapping[int, Watermark]) -> None:
        """Set the watermarks at the end of a rebuild; the owners of these partitions are fenced out."""
        with RedisErrors("writing watermarks"):
            await write_watermarks(self._redis, self._keys, role, topic, watermarks)

    async def record(self, user_id: str) -> bytes | None:
        """Return the recommendation record last published for a user, as JSON, for people to read."""
        with RedisErrors("reading a user's list"):
            record: bytes | None = await self._redis.execute_command("HGET", self._keys.user(user_id), "recommendation")
        return record or None

    async def user_ids(self) -> set[str]:
        """Return everyone who has a hash."""
        return await names_below(self._redis, [each.prefix + "user:" for each in self._keys.counted()])

    async def clear(self) -> int:
        """Delete all users; returns the number of keys. Watermarks stay."""
        families = [each.prefix + family for each in self._keys.counted() for family in ("user:", "touched:")]
        return await clear_keys(self._redis, families)

    def _watermark(self, partition: int) -> str:
        return self._keys.watermark(self._role, self._topic, partition)


def _refusal(refused: Mapping[int, int]) -> str:
    causes = {fencing.NOT_OWNER: "it has another owner", fencing.MOVED: "its watermark has moved"}
    parts = (f"partition {partition} ({causes.get(reply, reply)})" for partition, reply in sorted(refused.items()))
    return f"The batch is dropped for {', '.join(parts)}."
