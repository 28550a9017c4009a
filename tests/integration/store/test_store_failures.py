"""What the store does when Redis breaks the connection, hangs, is full, is away or refuses the login."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest
from breaking_proxy import BreakingProxy, breaking_proxy
from own_redis import running_redis

from millrace.kernel.errors import ConfigurationError, FatalError, TransientError
from millrace.kernel.settings import Settings
from millrace.kernel.user_state import ResolvedEvent, ServedList, UserState, apply_event
from millrace.stores.redis import connect as connect_module
from millrace.stores.redis.replacing import StatisticsReplacement
from millrace.stores.redis.stores import Stores, open_stores
from millrace.stores.redis.values import LiveGrade, PartitionCommit, ServedUpdate, StatisticsFlush, Watermark

pytestmark = pytest.mark.services

STATE = apply_event(UserState("u"), ResolvedEvent("e", "u", 7, 4.5, 1000)).state
COMMIT = PartitionCommit(
    0, "w1", -1, 5, [STATE], {"u": [7]}, [LiveGrade("v1", "champion", True, 1.0, False, 0.0)], {"events_applied": 1}
)
UPDATE = ServedUpdate("u", ServedList((3,), "v1", "champion", "r"), np.array([5], np.int32), b"{}")


@pytest.fixture
def store_url(redis_server: str) -> str:
    """A single server alone: the connections of a cluster's client do not go through the proxy."""
    return redis_server


@pytest.fixture
def proxy(store_port: int) -> Iterator[BreakingProxy]:
    with breaking_proxy(store_port) as running:
        yield running


@pytest.fixture
async def through(proxy: BreakingProxy, settings: Settings) -> AsyncIterator[Stores]:
    """The stores as seen through the proxy; `stores` sees the same keys directly."""
    redirected = settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{proxy.port}/0"})
    async with open_stores(redirected) as opened:
        yield opened


async def assert_applied_once(stores: Stores) -> None:
    (user,) = await stores.users.load(["u"])
    assert (user.count, user.touched.tolist()) == (1, [7])
    assert (await stores.serving.counters())["events_applied"] == 1
    assert (await stores.serving.live())["v1", "champion"]["events"] == 1
    assert (await stores.users.watermarks("worker", "millrace.events"))[0].state == 5


async def test_a_lost_answer_is_hidden_and_nothing_is_done_twice(
    through: Stores, stores: Stores, proxy: BreakingProxy
) -> None:
    await through.users.claim(0, "w1")
    proxy.drop_answers(1, to=b"EVALSHA")
    await through.users.commit([COMMIT])
    assert proxy.broken == 1
    await assert_applied_once(stores)


async def test_many_lost_answers_are_a_transient_error_and_the_retry_does_nothing_twice(
    through: Stores, stores: Stores, proxy: BreakingProxy
) -> None:
    await through.users.claim(0, "w1")
    await through.users.commit([COMMIT])
    later = PartitionCommit(0, "w1", 5, 6, [], {}, [], {"events_applied": 1})
    proxy.drop_answers(connect_module.RETRIES + 1, to=b"EVALSHA")
    with pytest.raises(TransientError, match="while writing users"):
        await through.users.commit([later])
    assert proxy.broken == connect_module.RETRIES + 1
    await through.users.commit([later])
    assert (await stores.serving.counters())["events_applied"] == 2
    assert await stores.users.watermarks("worker", "millrace.events") == {0: Watermark(6, -1)}


async def test_a_lost_answer_of_finish_counts_once(through: Stores, stores: Stores, proxy: BreakingProxy) -> None:
    await through.users.claim(0, "w1")
    await through.users.commit([PartitionCommit(0, "w1", -1, 5, [], {})])
    proxy.drop_answers(connect_module.RETRIES + 1, to=b"EVALSHA")
    with pytest.raises(TransientError):
        await through.users.finish(0, "w1", 5, [UPDATE], {"recommendations": 1})
    await through.users.finish(0, "w1", 5, [UPDATE], {"recommendations": 1})
    assert await stores.serving.counters() == {"recommendations": 1}
    assert (await stores.users.load(["u"]))[0].served == UPDATE.served


async def test_a_lost_answer_of_assign_gives_no_second_index(through: Stores, proxy: BreakingProxy) -> None:
    proxy.drop_answers(1, to=b"EVALSHA")
    assert await through.catalogue.assign(["a", "b"]) == [1, 2]
    assert proxy.broken == 1


async def test_a_flush_cut_in_the_middle_writes_nothing(through: Stores, stores: Stores, proxy: BreakingProxy) -> None:
    await through.statistics.claim([0], "k1")
    small = StatisticsFlush({1: b"old"}, {}, {}, {"clock": "1"}, {0: 1})
    large = StatisticsFlush({item: b"x" * 5000 for item in range(1, 1000)}, {}, {}, {"clock": "2"}, {0: 2}, {0: 1})
    await through.statistics.flush("k1", small)
    proxy.cut_requests(after_bytes=2_500_000)
    with pytest.raises(TransientError, match="while writing statistics"):
        await through.statistics.flush("k1", large)
    assert proxy.broken >= 1
    assert await stores.statistics.pages([1, 2]) == [b"old", None]
    assert await stores.statistics.scalars() == {"clock": "1"}
    proxy.cut_requests(after_bytes=None)
    await through.statistics.flush("k1", large)
    assert await stores.statistics.pages([1, 999]) == [b"x" * 5000] * 2
    assert await stores.statistics.scalars() == {"clock": "2"}


async def test_an_exchange_of_statistics_whose_answer_is_lost_is_completed(
    through: Stores, stores: Stores, proxy: BreakingProxy
) -> None:
    replacement = StatisticsReplacement(through.redis, through.keys, "millrace.events")
    await stores.statistics.flush("", StatisticsFlush({1: b"old", 3: b"stale"}, {}, {}, {"clock": "1"}, {}))
    await replacement.stage({1: b"new", 2: b"new"}, {0: b"new"})
    old = await replacement.old_names()
    held = await replacement.claim([0], "rebuild-1")
    proxy.drop_answers(1, to=b"EXEC")
    assert not await replacement.switch({"clock": "2"}, old, "rebuild-1", held)
    assert proxy.broken == 1
    # What the roles have learned since is staged anew, on top of what is in place already.
    await replacement.stage({2: b"newer"}, {})
    held = await replacement.claim([0], "rebuild-2")
    assert await replacement.switch({"clock": "3"}, old, "rebuild-2", held)
    assert await stores.statistics.pages([1, 2, 3]) == [b"new", b"newer", None]
    assert await stores.statistics.popularity(1) == [b"new"]
    assert await stores.statistics.scalars() == {"clock": "3"}


async def test_killed_connections_under_load_lose_and_double_nothing(stores: Stores, settings: Settings) -> None:
    steps = 300
    finished = asyncio.Event()
    await stores.users.claim(0, "w1")

    async def work() -> None:
        async with open_stores(settings) as mine:
            for step in range(steps):
                commit = PartitionCommit(0, "w1", step - 1, step, [STATE], {"u": [step]}, [], {"events_applied": 1})
                while True:
                    try:
                        await mine.users.commit([commit])
                        break
                    except TransientError:
                        continue
        finished.set()

    async def kill() -> None:
        while not finished.is_set():
            await stores.redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await asyncio.sleep(0.005)

    await asyncio.gather(work(), kill())
    assert await stores.serving.counters() == {"events_applied": steps}
    assert (await stores.users.load(["u"]))[0].touched.tolist() == list(range(steps))


async def test_a_full_server_refuses_whole_commits(tmp_path: Path, settings: Settings) -> None:
    with running_redis(tmp_path, "--maxmemory-policy", "noeviction") as (_, port):
        full = settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{port}/0"})
        async with open_stores(full) as stores:
            await stores.users.claim(0, "w1")
            await stores.users.commit([PartitionCommit(0, "w1", -1, 0, [], {})])
            commit = PartitionCommit(0, "w1", 0, 5, [STATE], {"u": [7]}, COMMIT.grades, {"events_applied": 1})
            await stores.redis.config_set("maxmemory", 1)
            with pytest.raises(TransientError):
                await stores.users.commit([commit])
            assert await stores.users.watermarks("worker", "millrace.events") == {0: Watermark(0, -1)}
            assert await stores.serving.counters() == {}
            with pytest.raises(TransientError):
                await stores.catalogue.assign(["a"])
            await stores.redis.config_set("maxmemory", 0)
            await stores.users.commit([commit])
            await assert_applied_once(stores)


async def test_a_hanging_server_is_given_up_in_bounded_time(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect_module, "ANSWER_TIMEOUT_S", 0.2)
    with running_redis(tmp_path) as (process, port):
        hanging = settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{port}/0"})
        async with open_stores(hanging) as stores:
            await stores.users.claim(0, "w1")
            process.send_signal(signal.SIGSTOP)
            start = time.monotonic()
            with pytest.raises(TransientError):
                await stores.users.commit([COMMIT])
            assert time.monotonic() - start < 10
            process.send_signal(signal.SIGCONT)
            await stores.users.commit([COMMIT])
            await assert_applied_once(stores)


async def test_a_server_that_is_not_there_is_a_transient_error(tmp_path: Path, settings: Settings) -> None:
    with running_redis(tmp_path) as (_, port):
        pass
    with pytest.raises(TransientError, match=f"No Redis answers at redis://127.0.0.1:{port}.*millrace up"):
        async with open_stores(settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{port}/0"})):
            pytest.fail("nobody listens there")


async def test_a_refused_login_names_the_setting(tmp_path: Path, settings: Settings) -> None:
    with running_redis(tmp_path, "--requirepass", "secret") as (_, port):
        url = f"redis://127.0.0.1:{port}/0"
        with pytest.raises(ConfigurationError, match="MILLRACE_REDIS_URL"):
            async with open_stores(settings.model_copy(update={"redis_url": url})):
                pytest.fail("no password was given")
        url = f"redis://:wrong@127.0.0.1:{port}/0"
        with pytest.raises(ConfigurationError, match="MILLRACE_REDIS_URL"):
            async with open_stores(settings.model_copy(update={"redis_url": url})):
                pytest.fail("a wrong password was given")


async def test_a_foreign_key_is_a_fatal_error_that_names_the_way_out(stores: Stores) -> None:
    await stores.redis.set(stores.keys.user("u"), "foreign")
    with pytest.raises(FatalError, match="millrace rebuild"):
        await stores.users.load(["u"])
