"""A keeper that claims its partitions anew writes nothing of what it learned before, whoever fenced it."""

import asyncio
from collections.abc import Sequence

import orjson
import pytest

from millrace.kernel.contracts import EventPolicy
from millrace.kernel.errors import FatalError
from millrace.runtime.claims import PartitionGate
from millrace.runtime.records import SourceRecord
from millrace.stores.redis.values import CatalogueChange, FencedError, StatisticsFlush
from millrace.streams.catalogue_view import CatalogueView
from millrace.streams.keeper.keeper import Keeper


class Store:
    """What the keeper has written, in memory; what is read during a claim can be held up."""

    def __init__(self) -> None:
        self.owner = ""
        self.watermark = -1
        self.flushed: dict[str, str] = {}
        self.loading = asyncio.Event()
        self.may_load = asyncio.Event()
        self.may_load.set()

    async def claim(self, partitions: Sequence[int], owner: str) -> dict[int, int]:
        self.owner = owner
        return dict.fromkeys(partitions, self.watermark)

    async def flush(self, owner: str, flush: StatisticsFlush) -> None:
        if owner != self.owner:
            raise FencedError("Partition 0 has another keeper.", frozenset({0}))
        self.flushed = dict(flush.scalars)
        self.watermark = flush.watermarks[0]

    async def pages(self, items: Sequence[int]) -> list[bytes | None]:
        return [None] * len(items)

    async def popularity(self, chunks: int) -> list[bytes | None]:
        return [None] * chunks

    async def tails(self, user_ids: Sequence[str]) -> list[bytes | None]:
        return [None] * len(user_ids)

    async def scalars(self) -> dict[str, str]:
        self.loading.set()
        await self.may_load.wait()
        return dict(self.flushed)


class Items:
    """A catalogue that knows every item as the first one."""

    async def assign(self, item_ids: Sequence[str]) -> list[int]:
        return [1] * len(item_ids)

    async def indexes(self, item_ids: Sequence[str]) -> list[int | None]:
        return [1] * len(item_ids)

    async def changes_since(self, sequence: int) -> tuple[int, list[CatalogueChange]]:
        return sequence, []

    async def sequence(self) -> int:
        return 0


def record(offset: int) -> SourceRecord:
    event = {
        "event_id": f"e{offset}",
        "user_id": "ann",
        "item_id": "i",
        "type": "rating",
        "value": 4.0,
        "ts_ms": 1000 + offset,
    }
    return SourceRecord("events", 0, offset, 1000 + offset, b"ann", orjson.dumps(event))


async def claimed_while_something_waits_to_be_written() -> tuple[Store, Keeper]:
    store, gate = Store(), PartitionGate()
    keeper = Keeper(EventPolicy(), store, CatalogueView(Items(), True), gate, neighbours=8, flush_ms=1)
    await keeper.claim([0])
    await keeper.process([record(0), record(1)])
    store.may_load.clear()
    store.loading.clear()
    claiming = asyncio.create_task(keeper.claim([0]))
    await store.loading.wait()
    # The claim is in the store, and what it found there is being read: now the old learner's flush is due.
    await keeper.flush()
    store.may_load.set()
    await claiming
    return store, keeper


def test_what_was_learned_before_a_claim_is_not_written_under_it() -> None:
    store, _ = asyncio.run(claimed_while_something_waits_to_be_written())
    assert (store.watermark, store.flushed) == (-1, {})


def test_it_is_learned_again_once() -> None:
    async def run() -> tuple[Store, Keeper]:
        store, keeper = await claimed_while_something_waits_to_be_written()
        await keeper.process([record(0), record(1)])
        await keeper.flush()
        return store, keeper

    store, keeper = asyncio.run(run())
    assert (store.watermark, store.flushed["clock"], keeper.learner.statistics.clock) == (1, "2", 2)


def test_a_tail_or_page_that_cannot_be_read_ends_the_keeper_with_the_way_out() -> None:
    class Broken(Store):
        broken_chunks = False

        async def tails(self, user_ids: Sequence[str]) -> list[bytes | None]:
            return [b"no tail"] * len(user_ids)

        async def popularity(self, chunks: int) -> list[bytes | None]:
            return [b"no chunk" if self.broken_chunks else None] * chunks

    async def run() -> None:
        store = Broken()
        keeper = Keeper(EventPolicy(), store, CatalogueView(Items(), True), PartitionGate(), neighbours=8, flush_ms=1)
        await keeper.claim([0])
        with pytest.raises(FatalError, match="tail of user 'ann' .*`millrace rebuild`"):
            await keeper.process([record(0)])
        store.broken_chunks = True
        with pytest.raises(FatalError, match="popularity chunk .*`millrace rebuild`"):
            await keeper.claim([0])

    asyncio.run(run())
