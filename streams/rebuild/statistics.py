"""Putting item statistics and the keeper's memory of users into Redis."""

from collections.abc import Mapping, Sequence

import numpy as np

from millrace.kernel.parts import in_parts
from millrace.stores.redis.redis_statistics import FORGOTTEN_SCALAR, RedisStatisticsStore
from millrace.stores.redis.replacing import StatisticsReplacement
from millrace.streams.rebuild.fence import Fence
from millrace.streams.replay import StatisticsReplay
from millrace.streams.statistics import ItemStatistics, encode_tail

# Pages of one message: some megabytes, milliseconds for the server.
_PAGES_PER_WRITE = 200
_CHUNKS_PER_WRITE = 20
_TAILS_PER_WRITE = 500


async def put_statistics(
    fence: Fence,
    replay: StatisticsReplay,
    replacement: StatisticsReplacement,
    store: RedisStatisticsStore,
    forgotten_events: int,
) -> None:
    """Write everything the keeper would have written, as of its watermarks; what is not among it is deleted.

    Args:
        fence: Of the keeper's partitions.
        replay: What is written.
        replacement: Where to.
        store: What is there.
        forgotten_events: How many events of the log are forgotten, for those who compare later.

    Raises:
        MillraceError: As `Fence.write`.
    """
    await replacement.clear()
    statistics = replay.statistics
    statistics.take_dirty()
    await _stage(statistics, replacement, _learned_rows(statistics), range(statistics.popularity_chunks))
    old = await replacement.old_names()
    left = sorted(replay.users.keys() | await store.user_ids())

    async def write(owner: str, marks: Mapping[int, int]) -> bool:
        while left:
            tails = {user_id: _tail(replay, user_id) for user_id in left[-_TAILS_PER_WRITE:]}
            if not await replacement.replace_tails(tails, owner, marks):
                return False
            del left[-_TAILS_PER_WRITE:]
        await _stage(statistics, replacement, *statistics.take_dirty())
        # Readers recognise new statistics by the number of the flush: it goes on from the one before.
        flush = int((await store.scalars()).get("flush", 0)) + 1
        scalars = {**statistics.scalars(), "flush": str(flush), FORGOTTEN_SCALAR: str(forgotten_events)}
        return await replacement.switch(scalars, old, owner, marks)

    await fence.write(write)


def _tail(replay: StatisticsReplay, user_id: str) -> bytes:
    state = replay.users.get(user_id)
    return b"" if state is None else encode_tail(state)


def _learned_rows(statistics: ItemStatistics) -> list[int]:
    rows: list[int] = np.flatnonzero(statistics.rows.lengths).tolist()
    return rows


async def _stage(
    statistics: ItemStatistics, replacement: StatisticsReplacement, items: Sequence[int], chunks: Sequence[int]
) -> None:
    for part in in_parts(items, _PAGES_PER_WRITE):
        await replacement.stage({item: statistics.page(item) for item in part}, {})
    for part in in_parts(chunks, _CHUNKS_PER_WRITE):
        await replacement.stage({}, {chunk: statistics.popularity_chunk(chunk) for chunk in part})
