"""Batches of a backlog: all state changes, and lists are left out that nobody would look at."""

import time
from dataclasses import replace

import orjson
import pytest
from worker_rig import NOW_MS, rig

from millrace.stores.redis.values import Watermark
from millrace.streams.worker.overload import ListPolicy

pytestmark = pytest.mark.services


async def test_a_backlog_changes_all_state_and_makes_the_lists_that_somebody_waits_for(redis_server: str) -> None:
    async with rig(redis_server) as r:
        await r.serve("v000001")
        batch = [r.record(user, f"i{n}") for n, user in enumerate(["ann", "bob", "ann", "eve", "ann", "bob"])]
        # Eve's only event is older than anybody waits.
        batch[3] = replace(batch[3], timestamp_ms=NOW_MS)
        now_ms = time.time_ns() // 1_000_000
        batch = [each if n == 3 else replace(each, timestamp_ms=now_ms) for n, each in enumerate(batch)]
        await r.with_lists(r.lists, ListPolicy(1, 60_000)).process(batch, backlog=True)
        assert [state.count for state in await r.users.load(["ann", "bob", "eve"])] == [3, 2, 1]
        made = [(made["user_id"], made["source_offset"]) for made in r.publisher.lists(r.settings)]
        assert made == [("ann", 4), ("bob", 5)]
        counters = await r.serving.counters()
        assert counters == {"events_applied": 6, "recommendations": 2, "left_out:superseded": 3, "left_out:late": 1}
        assert (await r.users.watermarks("worker", r.settings.topics.events))[0] == Watermark(5, 5)
        # Without a backlog the very same policy leaves nothing out.
        await r.with_lists(r.lists, ListPolicy(1, 60_000)).process([r.record("eve", "i1"), r.record("eve", "i2")])
        assert (await r.serving.counters())["recommendations"] == 4


async def test_clocks_that_jump_cost_neither_state_nor_lists(redis_server: str) -> None:
    async with rig(redis_server) as r:
        await r.serve("v000001")
        day_ms = 86_400_000
        jumps = [NOW_MS, NOW_MS + 900 * day_ms, NOW_MS + 1, 1, NOW_MS + 2, NOW_MS - 900 * day_ms]
        batch = []
        for n, ts_ms in enumerate(jumps):
            record = r.record("ann", f"i{n}", event_id=f"e{n}")
            value = {**orjson.loads(record.value or b""), "ts_ms": ts_ms}
            # The producer's own clock jumps with the event's.
            batch.append(replace(record, value=orjson.dumps(value), timestamp_ms=ts_ms))
        for record in batch:
            await r.processor.process([record])
        (ann,) = await r.users.load(["ann"])
        assert ann.count == len(jumps)
        assert ann.ts_ms.tolist() == sorted(jumps, reverse=True)
        lists = r.publisher.lists(r.settings)
        assert [made["source_offset"] for made in lists] == list(range(len(jumps)))
        for made in lists:
            assert len(made["items"]) == 10
            assert all(item["score"] is not None for item in made["items"])
        # The list of new users is made as of a time that has been.
        await r.lists.make_cold()
