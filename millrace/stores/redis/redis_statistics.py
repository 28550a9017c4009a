"""The keeper's state in Redis."""

from collections.abc import Iterable, Mapping, Sequence

from redis.asyncio.client import Pipeline
from redis.exceptions import WatchError

from millrace.kernel.keys import Keys
from millrace.kernel.parts import in_parts
from millrace.stores.redis.cluster import primary_of
from millrace.stores.redis.connect import RETRIES, Client, RedisErrors
from millrace.stores.redis.maintenance import clear_keys, names_below
from millrace.stores.redis.values import FencedError, StatisticsFlush
from millrace.stores.redis.watermarks import claim

KEEPER_ROLE = "statistics"
# How many forgotten events the pages were rebuilt without; the keeper leaves it as it is.
FORGOTTEN_SCALAR = "forgotten"
# Values per MSET inside the flush: few commands, each of them short for the server.
_VALUES_PER_MSET = 64


class RedisStatisticsStore:
    """Item pages, popularity, tails and totals in Redis; written by the keeper and by a rebuild only.

    Args:
        redis: A client of the running event loop, see `millrace.stores.redis.connect`.
        keys: The key names.
        topic: Full name of the events topic, whose partitions the watermarks count.
        role: The role that keeps the statistics.
    """

    def __init__(self, redis: Client, keys: Keys, topic: str, role: str = KEEPER_ROLE) -> None:
        self._redis = redis
        self._keys = keys
        self._topic = topic
        self._role = role

    async def claim(self, partitions: Sequence[int], owner: str) -> dict[int, int]:
        """Take the partitions over; returns the last offset learned of each, -1 for none."""
        with RedisErrors("claiming partitions for the statistics"):
            marks = await claim(self._redis, self._keys, self._role, self._topic, partitions, owner)
        return {partition: mark.state for partition, mark in marks.items()}

    async def flush(self, owner: str, flush: StatisticsFlush) -> None:
        """Write everything in one transaction; sending the same flush again changes nothing.

        The values are queued while they arrive, so the server is busy in one piece only for putting them in place.

        Raises:
            FencedError: Another keeper has claimed a partition, or a watermark is not where the flush starts.
        """
        with RedisErrors("writing statistics"):
            for attempt in range(RETRIES + 1):
                try:
                    return await self._try_flush(owner, flush)
                except WatchError:
                    # A claim in between, or a connection that broke while watching: redis-py raises the same error.
                    # The next attempt's check of the owner tells them apart.
                    if attempt == RETRIES:
                        raise

    async def _try_flush(self, owner: str, flush: StatisticsFlush) -> None:
        partitions = sorted(flush.expected.keys() | flush.watermarks.keys())
        marks = {each: self._keys.watermark(self._role, self._topic, each) for each in partitions}
        async with (
            primary_of(self._redis, self._keys.statistics) as server,
            server.pipeline(transaction=True) as pipeline,
        ):
            if marks:
                await pipeline.watch(*marks.values())
                states = await self._states(pipeline, owner, marks)
                if states == {**_expected(flush), **flush.watermarks}:
                    return  # written already, and only the answer was lost
                _check_states(states, _expected(flush))
            pipeline.multi()
            self._queue(pipeline, flush)
            await pipeline.execute()

    async def _states(self, pipeline: Pipeline, owner: str, marks: Mapping[int, str]) -> dict[int, int]:
        """Return the watermark of each partition; raises FencedError if another keeper owns one."""
        states = {}
        for partition, mark in marks.items():
            holder, state = await pipeline.execute_command("HMGET", mark, "owner", "state")  # type: ignore[misc]
            if holder != owner.encode():
                raise FencedError(f"Partition {partition} has another keeper.", frozenset({partition}))
            states[partition] = -1 if state is None else int(state)
        return states

    def _queue(self, pipeline: Pipeline, flush: StatisticsFlush) -> None:
        values = {self._keys.page(item): page for item, page in flush.pages.items()}
        values |= {self._keys.popularity(chunk): data for chunk, data in flush.popularity.items()}
        values |= {self._keys.tail(user_id): tail for user_id, tail in flush.tails.items()}
        for part in in_parts(values.items(), _VALUES_PER_MSET):
            pipeline.execute_command("MSET", *_flat(part))
        if flush.scalars:
            pipeline.execute_command("HSET", self._keys.statistics, *_flat(flush.scalars.items()))
        for partition, offset in flush.watermarks.items():
            mark = self._keys.watermark(self._role, self._topic, partition)
            pipeline.execute_command("HSET", mark, "state", offset, "done", offset)

    async def pages(self, items: Sequence[int]) -> list[bytes | None]:
        """Fetch item pages with one MGET."""
        return await self._get([self._keys.page(item) for item in items])

    async def popularity(self, chunks: int) -> list[bytes | None]:
        """Fetch the first `chunks` popularity chunks."""
        return await self._get([self._keys.popularity(chunk) for chunk in range(chunks)])

    async def tails(self, user_ids: Sequence[str]) -> list[bytes | None]:
        """Fetch the keeper's tails."""
        return await self._get([self._keys.tail(user_id) for user_id in user_ids])

    async def _get(self, keys: Sequence[str]) -> list[bytes | None]:
        if not keys:
            return []
        with RedisErrors("reading statistics"):
            values: list[bytes | None] = await self._redis.execute_command("MGET", *keys)
        return values

    async def scalars(self) -> dict[str, str]:
        """Return the keeper's scalars, among them `clock` and `flush`."""
        with RedisErrors("reading statistics"):
            fields = await self._redis.execute_command("HGETALL", self._keys.statistics)
        return {name.decode(): value.decode() for name, value in fields.items()}

    async def user_ids(self) -> set[str]:
        """Return the ids of all users with a tail."""
        return await names_below(self._redis, [self._keys.tail("")])

    async def clear(self) -> int:
        """Delete all statistics; returns the number of keys. Watermarks stay."""
        families = [self._keys.page(0)[:-1], self._keys.popularity(0)[:-1], self._keys.tail(""), self._keys.statistics]
        return await clear_keys(self._redis, families)


def _expected(flush: StatisticsFlush) -> dict[int, int]:
    return {**dict.fromkeys(flush.watermarks, -1), **flush.expected}


def _check_states(states: Mapping[int, int], expected: Mapping[int, int]) -> None:
    """Refuse a flush onto a Redis that went back: clock and totals would count events that no page has learned."""
    moved = {partition: state for partition, state in states.items() if state != expected[partition]}
    if moved:
        places = ", ".join(f"{each} stands at offset {state}, not {expected[each]}" for each, state in moved.items())
        raise FencedError(f"The flush is dropped, for partition {places}.", frozenset(moved))


def _flat(pairs: Iterable[tuple[str, bytes | str]]) -> list[str | bytes]:
    return [part for pair in pairs for part in pair]
