import asyncio
import os
import time

import pytest

from millrace.kernel.user_state import ServedList
from millrace.stores.redis.stores import Stores
from millrace.stores.redis.values import ServingPlan

pytestmark = pytest.mark.services


async def test_no_plan_at_first(stores: Stores) -> None:
    assert await stores.serving.plan() == ServingPlan()


async def test_a_switch_is_seen_and_remembers_the_champion_before(stores: Stores) -> None:
    assert await stores.serving.set_plan("v1") == ServingPlan("v1", None, 0.0, 1, None)
    await stores.serving.set_plan("v1", "v2", 0.25)
    assert await stores.serving.plan() == ServingPlan("v1", "v2", 0.25, 2, None)
    assert await stores.serving.set_plan("v2") == ServingPlan("v2", None, 0.0, 3, "v1")
    assert await stores.serving.set_plan("v1") == ServingPlan("v1", None, 0.0, 4, "v2")


async def test_the_same_plan_again_is_no_change(stores: Stores) -> None:
    await stores.serving.set_plan("v1")
    plan = await stores.serving.set_plan("v2", "v3", 0.1)
    assert await stores.serving.set_plan("v2", "v3", 0.1) == plan


async def test_no_champion_can_be_set(stores: Stores) -> None:
    await stores.serving.set_plan("v1")
    assert await stores.serving.set_plan(None) == ServingPlan(None, None, 0.0, 2, "v1")


async def test_cards_and_vectors(stores: Stores) -> None:
    assert await stores.serving.model_card("v1") is None
    await stores.serving.put_model("v1", b'{"version":"v1"}', b"\x00\x01\xff")
    assert await stores.serving.model_card("v1") == b'{"version":"v1"}'
    assert await stores.serving.model_vectors("v1") == b"\x00\x01\xff"


async def test_counters_add_up(stores: Stores) -> None:
    await stores.serving.count({"dead:too_large": 2})
    await stores.serving.count({"dead:too_large": 1, "other": 5})
    assert await stores.serving.counters() == {"dead:too_large": 3, "other": 5}


async def test_a_process_is_seen_until_its_heartbeats_stop(stores: Stores) -> None:
    await stores.serving.heartbeat("worker", "w1", {"rate": 12.5}, ttl_s=60)
    await stores.serving.heartbeat("worker", "w1", {"rate": 13.5}, ttl_s=60)
    await stores.serving.heartbeat("statistics", "k1", {"clock": 3}, ttl_s=0.05)
    deadline = time.monotonic() + 5
    while len(beats := await stores.serving.heartbeats()) > 1:
        assert time.monotonic() < deadline, beats
        await asyncio.sleep(0.01)
    assert {name: beats[0][name] for name in ("role", "instance", "rate", "pid")} == {
        "role": "worker",
        "instance": "w1",
        "rate": 13.5,
        "pid": os.getpid(),
    }
    assert beats[0]["since_ms"] <= beats[0]["at_ms"]
    await stores.serving.heartbeat("statistics", "k1", {"clock": 4}, ttl_s=60)
    assert len(await stores.serving.heartbeats()) == 2


async def test_the_list_of_a_new_user(stores: Stores) -> None:
    assert await stores.serving.cold_list() is None
    served = ServedList((4, 2), None, "champion", "cold")
    await stores.serving.put_cold_list(served)
    assert await stores.serving.cold_list() == (served, b"")
    await stores.serving.put_cold_list(served, b"{}")
    assert await stores.serving.cold_list() == (served, b"{}")
