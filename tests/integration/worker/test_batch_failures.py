"""What failures change about a batch: services away, claims lost, records that break the code."""

from collections.abc import Iterable, Sequence

import pytest
from worker_rig import rig

from millrace.kernel.errors import TransientError
from millrace.kernel.keys import Keys
from millrace.stores.redis.connect import connected
from millrace.stores.redis.values import PartitionFinish, Watermark
from millrace.streams.worker.claimer import WorkerClaimer
from millrace.streams.worker.dependencies import ListRequest, MadeList
from millrace.streams.worker.lists import OnlineLists
from millrace.streams.worker.plan import Grader

pytestmark = pytest.mark.services


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
