"""Pages are waited for once, refreshed only when used and only when the keeper has flushed."""

from collections.abc import Sequence

import numpy as np
import pytest

from millrace.kernel.errors import FatalError
from millrace.streams.statistics import ItemStatistics
from millrace.streams.worker.pages import PageCache


class Store:
    def __init__(self) -> None:
        self.flush = 1
        self.asked: list[list[int]] = []

    async def pages(self, items: Sequence[int]) -> list[bytes | None]:
        self.asked.append(list(items))
        return [f"{item}@{self.flush}".encode() for item in items]

    async def popularity(self, chunks: int) -> list[bytes | None]:
        return [f"popularity@{self.flush}".encode()] * chunks

    async def scalars(self) -> dict[str, str]:
        return {"clock": str(100 * self.flush), "flush": str(self.flush)}


class View:
    def __init__(self) -> None:
        self.pages: dict[int, bytes | None] = {}
        self.chunks: dict[int, bytes | None] = {}
        self.scalars: dict[str, str] = {}

    def load_page(self, item: int, data: bytes | None) -> None:
        self.pages[item] = data

    def load_popularity_chunk(self, chunk: int, data: bytes | None) -> None:
        self.chunks[chunk] = data

    def load_scalars(self, scalars: dict[str, str]) -> None:
        self.scalars = scalars


async def test_a_page_is_read_once_until_the_keeper_flushes() -> None:
    store, view = Store(), View()
    cache = PageCache(store, view, lambda: 1500)
    assert await cache.refresh()
    assert set(view.chunks) == {0, 1}
    await cache.ensure([3, 5])
    await cache.ensure([5, 3])
    assert not await cache.refresh()
    assert store.asked == [[3, 5]]
    store.flush = 2
    assert await cache.refresh()
    assert view.pages == {3: b"3@2", 5: b"5@2"}
    assert view.scalars["clock"] == "200"


async def test_a_page_nobody_uses_any_more_is_read_again_when_needed() -> None:
    store, view = Store(), View()
    cache = PageCache(store, view, lambda: 0)
    await cache.ensure([3, 5])
    await cache.refresh()
    await cache.ensure([5])
    store.flush = 2
    await cache.refresh()
    store.flush = 3
    await cache.refresh()
    assert view.pages == {3: b"3@1", 5: b"5@2"}
    await cache.ensure([3])
    assert view.pages[3] == b"3@3"


async def test_many_pages_are_read_in_parts() -> None:
    store = Store()
    cache = PageCache(store, View(), lambda: 0)
    await cache.ensure(range(1, 1001))
    assert max(map(len, store.asked)) <= 128
    assert sorted(item for part in store.asked for item in part) == list(range(1, 1001))


async def test_a_flush_while_popularity_is_read_leaves_no_clock_behind_it() -> None:
    class Flushing(Store):
        async def popularity(self, chunks: int) -> list[bytes | None]:
            self.flush = 2
            return await super().popularity(chunks)

    store, view = Flushing(), View()
    cache = PageCache(store, view, lambda: 0)
    assert await cache.refresh()
    assert (view.chunks, view.scalars["clock"]) == ({0: b"popularity@2"}, "200")
    # Pages of the flush before may be here: everything is read once more.
    assert await cache.refresh()
    assert not await cache.refresh()


async def test_what_cannot_be_read_is_no_fault_of_a_record() -> None:
    class Broken(Store):
        async def popularity(self, chunks: int) -> list[bytes | None]:
            return [None] * chunks

    cache = PageCache(Broken(), ItemStatistics(4), lambda: 0)
    with pytest.raises(FatalError, match="page of item 3 .*`millrace rebuild`"):
        await cache.ensure([3])
    page = ItemStatistics(4)
    page.rows.learn(np.array([2], np.int32), 1, 0)
    damaged = page.page(1).replace(np.int32(2).tobytes() + page.rows.values[1, 0].tobytes(), b"\xff" * 20)

    class Damaged(Store):
        async def pages(self, items: Sequence[int]) -> list[bytes | None]:
            return [damaged] * len(items)

    with pytest.raises(FatalError, match="page of item 3 names -1 as a neighbour.*`millrace rebuild`"):
        await PageCache(Damaged(), ItemStatistics(4), lambda: 0).ensure([3])
    with pytest.raises(FatalError, match="popularity chunk .*`millrace rebuild`"):
        await PageCache(Store(), ItemStatistics(4), lambda: 0).refresh()
