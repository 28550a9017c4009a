"""Batches on a real Redis: what is stored, published and counted."""

from collections.abc import Sequence

import pytest
from worker_rig import Rig, rig

from millrace.kernel.contracts import Recommendation
from millrace.stores.redis.values import Watermark

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


async def test_before_the_first_version_a_list_has_no_arm(redis_server: str) -> None:
    async with rig(redis_server) as r:
        await r.processor.process([r.record("ann", "i1")])
        await r.serve("v000001")
        r.scorer.away = True
        await r.processor.process([r.record("ann", "i2")])
        r.scorer.away = False
        lists = r.publisher.lists(r.settings)
        assert [(made["arm"], made["model_version"], made["fallback"]) for made in lists] == [
            (None, None, "no_model"),
            ("champion", None, "scoring_unavailable"),
        ]
        for made in lists:
            assert Recommendation.model_validate(made).model_dump(mode="json") == made
