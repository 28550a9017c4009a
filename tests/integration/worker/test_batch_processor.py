"""Batches on a real Redis: what is stored, published and counted, and what failures change about it."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

import orjson
import pytest
from worker_rig import NOW_MS, Rig, rig

from millrace.kernel.contracts import Recommendation
from millrace.kernel.errors import TransientError
from millrace.kernel.keys import Keys
from millrace.stores.redis.connect import connected
from millrace.stores.redis.protocols import PartitionFinish, Watermark
from millrace.streams.worker.claimer import WorkerClaimer
from millrace.streams.worker.dependencies import ListRequest, MadeList
from millrace.streams.worker.lists import OnlineLists
from millrace.streams.worker.overload import ListPolicy
from millrace.streams.worker.plan import Grader

pytestmark = pytest.mark.services


async def test_a_batch_is_stored_published_and_counted(redis_server: str) -> None:
    async with rig(redis_server) as r:
        await r.serve("v000001")
        batch = [
            r.record("ann", "i1"),
            r.record("bob", "i1", partition=1),
            r.record("ann", "i2"),
            r.record("ann", "i1", event_id="e0-0"),
        ]
        await r.processor.process(batch)
        ann, bob = await r.users.load(["ann", "bob"])
        assert (ann.count, bob.count) == (2, 1)
        lists = r.publisher.lists(r.settings)
        assert [(made["user_id"], made["recommendation_id"]) for made in lists] == [
            ("ann", "0-0-e0-0"),
            ("bob", "1-0-e1-0"),
            ("ann", "0-1-e0-1"),
            ("ann", "0-2-e0-0"),
        ]
        for made in lists:
            assert (made["model_version"], made["fallback"]) == ("v000001", None)
            assert len(made["items"]) == 10
            # Exactly what the contract writes, although it is built directly.
            assert Recommendation.model_validate(made).model_dump(mode="json") == made
        assert ann.served is not None
        shown = [item["item_id"] for item in lists[3]["items"]]
        assert [r.catalogue.catalogue.item_id(item) for item in ann.served.items] == shown
        assert len(ann.proposals) == 3
        counters = await r.serving.counters()
        assert counters == {"events_applied": 3, "duplicates": 1, "recommendations": 4}
        live = await r.serving.live()
        assert {name: counts["events"] for name, counts in live.items()} == {("fallback", "champion"): 3.0}
        marks = await r.users.watermarks("worker", r.settings.topics.events)
        assert marks == {0: Watermark(2, 2), 1: Watermark(0, 0)}


async def test_a_repeated_batch_changes_nothing_and_publishes_the_same_ids(redis_server: str) -> None:
    async with rig(redis_server) as r:
        batch = [r.record("ann", f"i{n}") for n in range(5)]
        await r.processor.process(batch)
        before = (await r.users.load(["ann"]))[0]
        counters = await r.serving.counters()
        await r.claim([0])
        await r.processor.process(batch)
        after = (await r.users.load(["ann"]))[0]
        assert (after.count, after.touched.tolist()) == (before.count, before.touched.tolist())
        assert await r.serving.counters() == counters
        ids = [made["recommendation_id"] for made in r.publisher.lists(r.settings)]
        assert ids[:5] == ids[5:]


async def test_touched_items_never_come_back_on_any_path(redis_server: str) -> None:
    async with rig(redis_server) as r:
        touched: set[str] = set()
        for n in range(70):
            r.scorer.away = n % 3 == 0
            if n == 20:
                await r.serve("v000001")
            await r.processor.process([r.record("ann", f"i{n}")])
            touched.add(f"i{n}")
            items = [item["item_id"] for item in r.publisher.lists(r.settings)[-1]["items"]]
            assert len(set(items)) == len(items) == 10
            assert not touched & set(items)


async def test_kafka_away_delays_the_batch_and_applies_it_once(redis_server: str) -> None:
    async with rig(redis_server) as r:
        r.publisher.failures = 2
        await r.processor.process([r.record("ann", "i1"), r.record("ann", "i2")])
        assert (await r.users.load(["ann"]))[0].count == 2
        assert len(r.publisher.lists(r.settings)) == 2
        assert (await r.serving.counters())["events_applied"] == 2
        assert r.processor.waiting_for is None


async def test_a_batch_whose_commit_redis_lost_is_read_again(
    redis_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rig(redis_server) as r, connected(r.settings) as redis:
        records = [r.record("ann", "i1"), r.record("bob", "i2")]
        finish_all = r.users.finish_all

        async def lose_the_last_second(finishes: Sequence[PartitionFinish]) -> None:
            monkeypatch.setattr(r.users, "finish_all", finish_all)
            keys = Keys.of(r.settings)
            await redis.hdel(keys.watermark("worker", r.settings.topics.events, 0), "state")
            await redis.delete(keys.user("ann"), keys.user("bob"), keys.touched("ann"), keys.touched("bob"))
            raise TransientError("Redis is away")

        monkeypatch.setattr(r.users, "finish_all", lose_the_last_second)
        await r.processor.process(records)
        assert r.gate.partitions == [1]
        assert (await r.users.watermarks("worker", r.settings.topics.events))[0] == Watermark(-1, -1)
        await r.claim([0])
        await r.processor.process(records)
        assert [state.count for state in await r.users.load(["ann", "bob"])] == [1, 1]
        assert (await r.users.watermarks("worker", r.settings.topics.events))[0] == Watermark(1, 1)


async def test_a_lost_partition_is_dropped_and_the_other_one_goes_on(redis_server: str) -> None:
    async with rig(redis_server) as r:
        await WorkerClaimer(r.users).claim([0])  # by another worker
        await r.processor.process([r.record("ann", "i1"), r.record("bob", "i1", partition=1)])
        ann, bob = await r.users.load(["ann", "bob"])
        assert (ann.count, bob.count) == (0, 1)
        assert r.gate.partitions == [1]
        assert [made["user_id"] for made in r.publisher.lists(r.settings)] == ["bob"]
        marks = await r.users.watermarks("worker", r.settings.topics.events)
        assert marks == {0: Watermark(-1, -1), 1: Watermark(0, 0)}


class _Breaking:
    """Makes lists, but breaks on one event."""

    def __init__(self, lists: OnlineLists, breaks_on: str) -> None:
        self._lists, self._breaks_on = lists, breaks_on

    def grader(self) -> Grader:
        return self._lists.grader()

    def take_counters(self) -> dict[str, int]:
        return self._lists.take_counters()

    async def make(self, requests: Sequence[ListRequest]) -> list[MadeList]:
        if any(request.recommendation_id.endswith(self._breaks_on) for request in requests):
            raise ZeroDivisionError("by this event")
        return await self._lists.make(requests)


async def test_a_record_that_breaks_the_code_becomes_a_dead_letter_and_the_rest_goes_on(redis_server: str) -> None:
    async with rig(redis_server) as r:
        batch = [r.record(f"u{n}", "i1", event_id=f"event{n}") for n in range(8)]
        await r.with_lists(_Breaking(r.lists, "event5")).process(batch)
        (letter,) = r.publisher.letters(r.settings)
        assert (letter.key, letter.value) == (batch[5].key, batch[5].value)
        headers = dict(letter.headers or [])
        assert headers["millrace-reason"] == b"processing_failed"
        assert headers["millrace-offset"] == b"5"
        answered = {made["user_id"] for made in r.publisher.lists(r.settings)}
        assert answered == {f"u{n}" for n in range(8)} - {"u5"}
        marks = await r.users.watermarks("worker", r.settings.topics.events)
        assert marks[0] == Watermark(7, 7)
        assert (await r.serving.counters())["dead:processing_failed"] == 1


class _Hiccup(_Breaking):
    """Fails a few times, whatever it is asked for."""

    def __init__(self, lists: OnlineLists, times: int) -> None:
        super().__init__(lists, "")
        self._left = times

    async def make(self, requests: Sequence[ListRequest]) -> list[MadeList]:
        self._left -= 1
        return await (super().make(requests) if self._left >= 0 else self._lists.make(requests))


async def test_halves_of_a_batch_are_not_written_under_a_claim_that_came_between(
    redis_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rig(redis_server) as r:
        records = [r.record("ann", f"i{n}") for n in range(4)]
        resolve, calls = r.catalogue.resolve, iter(range(100))

        async def break_then_lose_the_partition(item_ids: Iterable[str]) -> dict[str, int]:
            call = next(calls)
            if call == 0:
                raise ZeroDivisionError("with all of them")
            if call == 1:
                await r.claim([0])
            return await resolve(item_ids)

        monkeypatch.setattr(r.catalogue, "resolve", break_then_lose_the_partition)
        await r.processor.process(records)
        # The first half was refused: had the second been taken, the first would never come again.
        assert (await r.users.watermarks("worker", r.settings.topics.events)).get(0, Watermark()) == Watermark()
        await r.processor.process(records)
        (ann,) = await r.users.load(["ann"])
        assert ann.count == 4


async def test_an_error_that_passes_is_no_verdict_on_a_record(redis_server: str) -> None:
    async with rig(redis_server) as r:
        await r.with_lists(_Hiccup(r.lists, 3)).process([r.record("ann", "i1")])
        assert not r.publisher.letters(r.settings)
        (made,) = r.publisher.lists(r.settings)
        assert (await r.users.load(["ann"]))[0].count == 1
        assert made["user_id"] == "ann"
        assert (await r.users.watermarks("worker", r.settings.topics.events))[0] == Watermark(0, 0)


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


@pytest.mark.parametrize("register", [True, False])
async def test_an_unknown_item_is_registered_or_refused(redis_server: str, register: bool) -> None:
    async with rig(redis_server, register_unknown_items=register) as r:
        await r.processor.process([r.record("ann", "never heard of")])
        (ann,) = await r.users.load(["ann"])
        assert ann.count == int(register)
        reasons = [dict(letter.headers or [])["millrace-reason"] for letter in r.publisher.letters(r.settings)]
        assert reasons == ([] if register else [b"unknown_item"])
        if register:
            assert r.catalogue.catalogue.item_id(ann.touched[0]) == "never heard of"


async def test_a_user_in_two_partitions_keeps_both_events(redis_server: str) -> None:
    async with rig(redis_server) as r:
        await r.processor.process([r.record("ann", "i1"), r.record("ann", "i2", partition=1), r.record("ann", "i3")])
        (ann,) = await r.users.load(["ann"])
        assert ann.count == 3
        assert sorted(r.catalogue.catalogue.item_id(item) for item in ann.touched) == ["i1", "i2", "i3"]


async def test_a_user_who_has_touched_almost_everything_gets_what_is_left(redis_server: str) -> None:
    async with rig(redis_server) as r:
        records = [r.record("ann", f"i{n}") for n in range(76)]
        await _in_batches(r, records)
        items = {item["item_id"] for item in r.publisher.lists(r.settings)[-1]["items"]}
        assert items == {"i76", "i77", "i78", "i79"}


async def _in_batches(r: Rig, records: Sequence[object]) -> None:
    for start in range(0, len(records), 16):
        await r.processor.process(records[start : start + 16])  # type: ignore[arg-type]


async def test_exploration_is_published_counted_and_learned_from(redis_server: str) -> None:
    async with rig(redis_server, exploration_rate=1.0) as r:
        await r.serve("v000001")
        await r.processor.process([r.record("ann", "i1"), r.record("bob", "i2", partition=1)])
        ann, bob = r.publisher.lists(r.settings)
        for made in (ann, bob):
            assert Recommendation.model_validate(made).model_dump(mode="json") == made
            assert [item["reason"]["code"] == "explore" for item in made["items"]] == [False] * 9 + [True]
            assert [item["propensity"] is not None for item in made["items"]] == [False] * 9 + [True]
        explored = ann["items"][-1]["item_id"]
        index = (await r.catalogue.resolve([explored]))[explored]
        # Ann takes what was explored, bob something else; the batch is repeated after a crash before its end.
        second = [r.record("ann", explored), r.record("bob", "i3", partition=1)]
        await r.processor.process(second)
        await r.claim([0, 1])
        await r.processor.process(second)
        await r.exploration.refresh()
        counts = r.exploration.policy.counts
        assert (counts["shown"], counts["taken"], counts[f"taken:{index}"]) == (4, 1, 1)
        assert counts[f"shown:{index}"] >= 1
        assert sum(number for name, number in counts.items() if name.startswith("shown:")) == 4


async def test_on_a_cluster_a_record_in_another_partition_than_kafkas_is_a_dead_letter(redis_cluster: str) -> None:
    async with rig(redis_cluster, topic_partitions=2) as r:
        home = r.users.home("ann") or 0
        await r.processor.process([r.record("ann", "i1", partition=home), r.record("ann", "i2", partition=1 - home)])
        (ann,) = await r.users.load(["ann"])
        assert ann.count == 1
        assert [each["user_id"] for each in r.publisher.lists(r.settings)] == ["ann"]
        (letter,) = r.publisher.letters(r.settings)
        assert dict(letter.headers)["millrace-reason"] == b"wrong_partition"
        assert (await r.serving.counters())["dead:wrong_partition"] == 1
        marks = await r.users.watermarks("worker", r.settings.topics.events)
        assert [marks[partition].done for partition in (0, 1)] == [0, 0]
