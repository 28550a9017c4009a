from typing import Any

import pytest

from millrace.stores.redis.stores import Stores
from millrace.stores.redis.values import FencedError, PartitionCommit, StatisticsFlush, Watermark

pytestmark = pytest.mark.services


def flush_of(text: bytes, **changed: Any) -> StatisticsFlush:
    parts: dict[str, Any] = {
        "pages": {7: b"page-" + text, 9: b"\x00\xff"},
        "popularity": {0: b"popularity-" + text},
        "tails": {"u": b"tail-" + text},
        "scalars": {"clock": "12", "flush": text.decode()},
        "watermarks": {0: 4, 1: 8},
    }
    return StatisticsFlush(**{**parts, **changed})


async def everything(stores: Stores) -> tuple[object, ...]:
    return (
        await stores.statistics.pages([7, 8, 9]),
        await stores.statistics.popularity(2),
        await stores.statistics.tails(["u", "v"]),
        await stores.statistics.scalars(),
        await stores.users.watermarks("statistics", "millrace.events"),
    )


async def test_nothing_before_the_first_flush(stores: Stores) -> None:
    assert await everything(stores) == ([None] * 3, [None] * 2, [None] * 2, {}, {})
    assert await stores.statistics.claim([0, 1], "k1") == {0: -1, 1: -1}
    assert await stores.statistics.pages([]) == []
    assert await stores.statistics.claim([], "k1") == {}


async def test_a_flush_writes_everything_and_can_be_repeated(stores: Stores) -> None:
    await stores.statistics.claim([0, 1], "k1")
    await stores.statistics.flush("k1", flush_of(b"1"))
    before = await everything(stores)
    assert before == (
        [b"page-1", None, b"\x00\xff"],
        [b"popularity-1", None],
        [b"tail-1", None],
        {"clock": "12", "flush": "1"},
        {0: Watermark(4, 4), 1: Watermark(8, 8)},
    )
    await stores.statistics.flush("k1", flush_of(b"1"))
    assert await everything(stores) == before
    assert await stores.statistics.claim([1], "k2") == {1: 8}


async def test_an_older_keeper_is_refused(stores: Stores) -> None:
    await stores.statistics.claim([0, 1], "k1")
    await stores.statistics.flush("k1", flush_of(b"1"))
    await stores.statistics.claim([1], "k2")
    before = await everything(stores)
    with pytest.raises(FencedError, match="Partition 1") as caught:
        await stores.statistics.flush("k1", flush_of(b"2"))
    assert caught.value.partitions == {1}
    assert await everything(stores) == before


@pytest.mark.parametrize("gone_back", [0, 1])
async def test_a_flush_onto_statistics_that_went_back_is_refused(stores: Stores, gone_back: int) -> None:
    await stores.statistics.claim([0, 1], "k1")
    await stores.statistics.flush("k1", flush_of(b"1"))
    # A Redis that lost its last second. Also where nothing new was learned: the totals are those of all partitions.
    await stores.redis.hset(stores.keys.watermark("statistics", "millrace.events", gone_back), "state", 2)
    before = await everything(stores)
    with pytest.raises(FencedError, match=f"partition {gone_back} stands at offset 2, not") as caught:
        await stores.statistics.flush("k1", flush_of(b"2", watermarks={1: 9}, expected={0: 4, 1: 8}))
    assert caught.value.partitions == {gone_back}
    assert await everything(stores) == before


async def test_a_claim_during_a_flush_wins(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    await stores.statistics.claim([0, 1], "k1")
    look = stores.statistics._states

    async def claimed_after_the_check(*args: Any) -> dict[int, int]:
        states = await look(*args)
        await stores.statistics.claim([0], "k2")
        return states

    monkeypatch.setattr(stores.statistics, "_states", claimed_after_the_check)
    with pytest.raises(FencedError, match="Partition 0 has another keeper"):
        await stores.statistics.flush("k1", flush_of(b"1"))
    assert await stores.statistics.pages([7]) == [None]


async def test_a_keeper_and_a_worker_do_not_fence_each_other(stores: Stores) -> None:
    await stores.users.claim(0, "w1")
    await stores.statistics.claim([0], "k1")
    await stores.users.commit([PartitionCommit(0, "w1", -1, 3, [], {})])
    await stores.users.finish(0, "w1", 3, [], {})
    await stores.statistics.flush("k1", flush_of(b"1", watermarks={0: 5}))
    assert await stores.users.watermarks("worker", "millrace.events") == {0: Watermark(3, 3)}


async def test_a_flush_larger_than_one_command(stores: Stores) -> None:
    await stores.statistics.claim([0], "k1")
    pages = {item: item.to_bytes(4, "little") * 1000 for item in range(1, 2001)}
    await stores.statistics.flush("k1", flush_of(b"1", pages=pages, watermarks={0: 1}))
    assert await stores.statistics.pages(list(pages)) == list(pages.values())


async def test_clearing_keeps_watermarks(stores: Stores) -> None:
    await stores.statistics.claim([0], "k1")
    await stores.statistics.flush("k1", flush_of(b"1", watermarks={0: 5}))
    await stores.statistics.clear()
    assert (await everything(stores))[:4] == ([None] * 3, [None] * 2, [None] * 2, {})
    assert await stores.statistics.claim([0], "k2") == {0: 5}
