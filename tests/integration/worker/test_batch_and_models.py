"""What the model server and the versions it serves do to the lists of a batch."""

import asyncio
import time

import pytest
from worker_rig import rig

pytestmark = pytest.mark.services


async def test_lists_come_from_the_counts_while_the_scorer_is_away_and_recover_by_themselves(
    redis_server: str,
) -> None:
    async with rig(redis_server) as r:
        await r.processor.process([r.record("ann", "i1")])
        await r.serve("v000001")
        r.scorer.away = True
        await r.processor.process([r.record("ann", "i2")])
        await r.processor.process([r.record("ann", "i3")])
        r.scorer.away = False
        deadline = time.monotonic() + 5
        while r.lists.open_because and time.monotonic() < deadline:
            await r.processor.process([r.record("ann", "i4")])
            await asyncio.sleep(0)
        await r.processor.process([r.record("ann", "i5")])
        lists = r.publisher.lists(r.settings)
        assert [made["fallback"] for made in lists[:3]] == ["no_model", "scoring_unavailable", "scoring_unavailable"]
        assert (lists[-1]["fallback"], lists[-1]["model_version"]) == (None, "v000001")
        assert all(made["model_version"] is None for made in lists[:3])
        counters = await r.serving.counters()
        assert counters["failed_requests"] == 1
        assert counters["fallback:no_model"] == 1


async def test_a_user_who_breaks_the_scorer_costs_lists_their_model_and_nobody_an_answer(redis_server: str) -> None:
    async with rig(redis_server) as r:
        await r.serve("v000001")
        r.scorer.breaks_on_touched = 1 + 70
        users = ["ann", "eve", "bob"]
        await r.processor.process([r.record("eve", "i70")])
        await r.processor.process([r.record(user, "i1") for user in users])
        deadline = time.monotonic() + 5
        while r.lists.open_because and time.monotonic() < deadline:
            await r.processor.process([r.record("ann", "i2")])
            await asyncio.sleep(0)
        await r.processor.process([r.record("bob", "i3")])
        lists = r.publisher.lists(r.settings)
        assert [made["user_id"] for made in lists[:4]] == ["eve", *users]
        assert all(len(made["items"]) == 10 for made in lists)
        assert {made["fallback"] for made in lists[:4]} == {"scoring_unavailable"}
        assert (lists[-1]["fallback"], lists[-1]["model_version"]) == (None, "v000001")
        assert not r.publisher.letters(r.settings)


async def test_a_hanging_scorer_holds_up_one_batch_only(redis_server: str) -> None:
    async with rig(redis_server, scoring_deadline_ms=200) as r:
        await r.serve("v000001")
        r.scorer.hangs = True
        await r.processor.process([r.record("ann", "i0")])
        r.scorer.asked.clear()
        r.scorer.holds = True
        for n in range(1, 6):
            await r.processor.process([r.record("ann", f"i{n}")])
        lists = r.publisher.lists(r.settings)
        assert {made["fallback"] for made in lists} == {"scoring_timeout"}
        # One probe at a time, beside the stream: five more batches have not asked five times.
        assert len(r.scorer.asked) == 1


async def test_a_challenger_that_fails_leaves_the_champion_its_users(redis_server: str) -> None:
    async with rig(redis_server) as r:
        await r.serve("v000002")
        await r.serve("v000001")
        await r.serving.set_plan("v000001", "v000002", 0.5)
        await r.models.refresh()
        r.scorer.version_away = "recommender_v000002"
        for item in ("i1", "i2"):
            await r.processor.process([r.record(f"u{n}", item) for n in range(12)])
            assert r.lists.open_because == "scoring_unavailable"
        lists = r.publisher.lists(r.settings)
        assert {(made["arm"], made["model_version"], made["fallback"]) for made in lists} == {
            ("champion", "v000001", None),
            ("challenger", None, "scoring_unavailable"),
        }
        await r.serving.set_plan("v000001")
        await r.models.refresh()
        assert r.lists.open_because is None


async def test_an_answer_with_nothing_new_is_told_from_no_answer(redis_server: str) -> None:
    async with rig(redis_server) as r:
        await r.serve("v000001")
        r.scorer.ranks_only = (await r.catalogue.resolve(["i1"]))["i1"]
        await r.processor.process([r.record("ann", "i1")])
        (made,) = r.publisher.lists(r.settings)
        assert (made["fallback"], made["model_version"], len(made["items"])) == ("nothing_left", None, 10)
        counters = await r.serving.counters()
        assert counters["fallback:nothing_left"] == 1
        assert "failed_requests" not in counters


async def test_a_new_version_takes_over_from_the_next_batch_on(redis_server: str) -> None:
    async with rig(redis_server) as r:
        await r.serve("v000001")
        await r.processor.process([r.record("ann", "i1")])
        await r.serve("v000002")
        await r.processor.process([r.record("ann", "i2")])
        assert r.scorer.asked == ["recommender_v000001", "recommender_v000002"]
        assert [made["model_version"] for made in r.publisher.lists(r.settings)] == ["v000001", "v000002"]
        # The second event graded the list of the first version.
        assert ("v000001", "champion") in await r.serving.live()


async def test_a_version_for_other_features_is_refused_and_the_old_one_goes_on(redis_server: str) -> None:
    async with rig(redis_server) as r:
        await r.serve("v000001")
        card = (await r.serving.model_card("v000001") or b"").replace(b'"transition_short"', b'"other"')
        await r.serving.put_model("v000002", card, await r.serving.model_vectors("v000001") or b"")
        await r.serving.set_plan("v000002")
        await r.models.refresh()
        assert r.models.versions == {"champion": "v000001"}
