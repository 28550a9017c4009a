"""The retrainer's life around a training process: what starts it, what becomes of its versions, what a kill leaves.

Redis, the log, the registry and the training process are real; the training is `tiny_training_job`.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from waiting import until_async

from millrace.consumers.retrainer import request_retraining
from millrace.consumers.retrainer.child import TrainingChild
from millrace.consumers.retrainer.requests import pending_requests
from millrace.consumers.retrainer.retrainer import TRAINING_STALLED_S, TURN_STALLED_S, Retrainer
from millrace.consumers.retrainer.schedule import Schedule
from millrace.consumers.retrainer.service import UNLOAD_AFTER_S, Service
from millrace.kernel.contracts import ActivityEvent
from millrace.kernel.errors import FatalError, TransientError
from millrace.kernel.settings import Settings
from millrace.model.registry import Registry
from millrace.model.triton_admin import LocalAdmin
from millrace.stores.event_log import LoggedEvent
from millrace.stores.event_log.sqlite import SqliteEventLog
from millrace.stores.redis.stores import Stores, open_stores
from millrace.stores.redis.values import ServingPlan
from millrace.streams.scoring.card import ServingCard

pytestmark = pytest.mark.services

WORSE: dict[str, object] = {"metrics": {"holdout_events": 2000.0, "hit_rate_at_10": 0.02, "counts_hit_rate_at_10": 0.1}}


class Bench:
    """Everything a test needs to watch a retrainer."""

    def __init__(self, settings: Settings, log: SqliteEventLog, stores: Stores) -> None:
        self.settings = settings
        self.log = log
        self.stores = stores
        self.registry = Registry(settings.registry_dir)
        self.server = LocalAdmin(settings.triton_repository_dir)
        self.service = Service(self.registry, self.server, stores)
        self._next = 0

    def script(self, *steps: dict[str, object]) -> None:
        """Say what the next trainings do; the last one repeats."""
        (self.settings.home / "script.json").write_text(json.dumps(steps))

    def add_events(self, count: int) -> None:
        """Log that many new events."""
        numbers = range(self._next, self._next + count)
        self._next += count
        self.log.append([_logged(number) for number in numbers])

    def retrainer(
        self, schedule: Schedule | None = None, quick_first: bool = False, now: Callable[[], float] = time.monotonic
    ) -> Retrainer:
        """Return a new one, as after a start of the process."""
        child = TrainingChild(self.settings, module="tiny_training_job")
        return Retrainer(self.log, self.stores, self.service, child, schedule or Schedule(), quick_first, now)

    @property
    def refreshes(self) -> list[str]:
        """What each training was asked to renew."""
        return (self.settings.home / "refreshes").read_text().split()


def _logged(number: int) -> LoggedEvent:
    event = ActivityEvent(
        event_id=f"e{number}", user_id=f"u{number % 9}", item_id="i1", type="rating", value=4.0, ts_ms=number
    )
    return LoggedEvent(0, number, number, event)


@pytest.fixture
def config(own_settings: Callable[..., Settings], redis_server: str) -> Settings:
    return own_settings(redis_url=redis_server, triton_url="in-process")


@pytest.fixture
def log(config: Settings) -> Iterator[SqliteEventLog]:
    opened = SqliteEventLog(config.home / "events.sqlite")
    yield opened
    opened.close()


@pytest.fixture
async def bench(config: Settings, log: SqliteEventLog, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    async with open_stores(config) as stores:
        await stores.catalogue.assign(["i1"])
        made = Bench(config, log, stores)
        made.script({})
        made.add_events(300)
        yield made


async def no_requests(bench: Bench) -> bool:
    """Return whether no request to train waits."""
    return await pending_requests(bench.stores.redis, bench.stores.keys) == []


@asynccontextmanager
async def running(retrainer: Retrainer) -> AsyncIterator[Retrainer]:
    task = asyncio.create_task(retrainer.run())
    try:
        yield retrainer
    finally:
        retrainer.stop()
        await asyncio.wait_for(task, 30)


async def test_the_first_version_comes_by_itself_and_then_requests_and_counts(bench: Bench) -> None:
    async with running(bench.retrainer(Schedule(every_events=50))) as retrainer:
        await until_async(lambda: retrainer.status.last_version == "v000001", "the first version")
        plan = await bench.stores.serving.plan()
        assert plan.champion == "v000001"
        card = ServingCard.model_validate_json(await bench.stores.serving.model_card("v000001") or b"")
        assert bench.server.loaded() == [card.triton_model]
        assert len(await bench.stores.serving.model_vectors("v000001") or b"") == 4
        bench.add_events(49)
        await asyncio.to_thread(request_retraining, bench.settings)
        await until_async(lambda: retrainer.status.last_version == "v000002", "a request is enough")
        bench.add_events(50)
        await until_async(lambda: retrainer.status.last_version == "v000003", "a count is enough")
        await asyncio.to_thread(request_retraining, bench.settings)
        await until_async(lambda: "Nothing new" in retrainer.status.last_result, "nothing new is said")
        assert retrainer.status.trainings == 3
    assert bench.registry.get("v000003").card.parent == "v000002"
    assert bench.registry.get("v000003").card.accepted is True
    plan = await bench.stores.serving.plan()
    assert (plan.champion, plan.previous) == ("v000003", "v000002")


async def test_a_quick_first_version_is_followed_at_once_by_one_with_an_encoder(bench: Bench) -> None:
    bench.script({"encoder_events": 0}, {"encoder_events": 300})
    async with running(bench.retrainer(Schedule(every_events=50), quick_first=True)) as retrainer:
        await until_async(lambda: retrainer.status.last_version == "v000002", "a version with an encoder")
        bench.add_events(50)
        await until_async(lambda: retrainer.status.last_version == "v000003", "the schedule goes on")
    assert bench.refreshes == ["ranker", "all", "due"]
    assert bench.registry.get("v000002").card.parent == "v000001"


async def test_an_encoder_that_cannot_be_trained_is_tried_again_when_a_training_is_due(bench: Bench) -> None:
    bench.script({"encoder_events": 0}, {"error": "no"}, {"encoder_events": 300})
    async with running(bench.retrainer(Schedule(every_events=50), quick_first=True)) as retrainer:
        await until_async(lambda: retrainer.status.last_result == "Failed: no", "the encoder was tried")
        bench.add_events(50)
        await until_async(lambda: retrainer.status.last_version == "v000002", "a version with an encoder")
    assert bench.refreshes == ["ranker", "all", "all"]


async def test_a_refused_version_is_kept_with_its_reason_and_never_serves(bench: Bench) -> None:
    bench.script({}, WORSE)
    await bench.retrainer().run_once()
    bench.add_events(300)
    async with running(bench.retrainer(Schedule(every_events=300))) as retrainer:
        await until_async(lambda: retrainer.status.last_version == "v000002", "the worse version")
        assert retrainer.status.last_accepted is False
        assert retrainer.status.champion == "v000001"
        tried = retrainer.status.trainings
        bench.add_events(10)
        await until_async(lambda: retrainer.status.new_events == 310, "it goes on looking")
        assert retrainer.status.trainings == tried, "the same events are not tried again"
    card = bench.registry.get("v000002").card
    assert card.accepted is False
    assert "online counts" in card.verdict
    assert (await bench.stores.serving.plan()).champion == "v000001"
    assert await bench.stores.serving.model_card("v000002") is None


async def test_a_killed_training_is_tried_again(bench: Bench) -> None:
    bench.script({"kill": True}, {"kill": True}, {})
    status = await bench.retrainer().run_once()
    assert status.last_version == "v000001"
    assert status.seconds["load_and_switch"] > 0


async def test_a_training_that_cannot_work_says_why_and_the_retrainer_goes_on(bench: Bench) -> None:
    bench.script({"error": "There is too little."}, {})
    with pytest.raises(FatalError, match="too little"):
        await bench.retrainer().run_once()
    bench.script({"error": "There is too little."}, {})
    async with running(bench.retrainer()) as retrainer:
        await until_async(lambda: retrainer.status.last_result == "Failed: There is too little.", "the failure is told")
        assert retrainer.status.phase == "idle"
        bench.add_events(200)
        await until_async(lambda: retrainer.status.last_version == "v000001", "more events help")


async def test_a_server_that_is_away_is_waited_for_and_no_reason_to_train_is_lost(bench: Bench) -> None:
    await bench.retrainer().run_once()
    bench.add_events(50)
    await asyncio.to_thread(request_retraining, bench.settings)
    bench.script({"error": "Redis is away.", "transient": True}, {"error": "Redis is away.", "transient": True}, {})
    async with running(bench.retrainer()) as retrainer:
        await until_async(lambda: retrainer.status.waiting == "Redis is away.", "what is away is told")
        assert retrainer.status.trainings == 0
        # No event has come since, and nobody has asked again.
        await until_async(lambda: retrainer.status.last_version == "v000002", "the request is answered when it is back")
        assert (retrainer.status.trainings, retrainer.status.waiting) == (1, "")
        await until_async(lambda: no_requests(bench), "the request is answered")
    bench.add_events(300)
    bench.script({"error": "Redis is away.", "transient": True}, {})
    async with running(bench.retrainer(Schedule(every_events=300))) as retrainer:
        await until_async(lambda: retrainer.status.last_version == "v000003", "a count is not forgotten either")


async def test_one_training_that_was_asked_for_fails_when_a_server_is_away(bench: Bench) -> None:
    bench.script({"error": "Redis is away.", "transient": True}, {})
    with pytest.raises(TransientError, match="Redis is away"):
        await bench.retrainer().run_once()


async def test_a_request_outlives_the_retrainer_and_those_that_come_meanwhile_wait(bench: Bench) -> None:
    await bench.retrainer().run_once()
    bench.add_events(1)
    bench.script({"stuck": True}, {"held": True}, {})
    await asyncio.to_thread(request_retraining, bench.settings)
    async with running(bench.retrainer()):
        await until_async((bench.settings.home / "stuck").exists, "the training is under way")
    async with running(bench.retrainer()) as retrainer:
        await until_async(lambda: retrainer.status.phase == "encoder", "the next retrainer takes the request up")
        bench.add_events(1)
        await asyncio.to_thread(request_retraining, bench.settings)
        (bench.settings.home / "go").touch()
        # The held training has learned the second event too, so the second request finds nothing to learn.
        await until_async(lambda: "Nothing new" in retrainer.status.last_result, "and then the one that came meanwhile")
        assert retrainer.status.last_version == "v000002"
        await until_async(lambda: no_requests(bench), "both are answered")


async def test_a_rollback_during_a_training_stays_and_the_next_training_goes_on_from_it(bench: Bench) -> None:
    for _ in range(2):
        await bench.retrainer().run_once()
        bench.add_events(50)
    bench.script({"held": True}, {})
    async with running(bench.retrainer(Schedule(every_events=50))) as retrainer:
        await until_async(lambda: retrainer.status.phase == "encoder", "a training is under way")
        await bench.stores.serving.set_plan("v000001")
        (bench.settings.home / "go").touch()
        await until_async(lambda: retrainer.status.last_version == "v000003", "it ends")
        assert (retrainer.status.last_accepted, retrainer.status.champion) == (False, "v000001")
        assert "the champion is v000001 by now and no longer v000002" in retrainer.status.last_result
        assert (await bench.stores.serving.plan()).champion == "v000001"
        card = bench.registry.get("v000003").card
        assert card.accepted is False
        assert "`millrace models promote v000003` lets it serve" in card.verdict
        bench.add_events(50)
        await until_async(lambda: retrainer.status.last_version == "v000004", "more events, another training")
    assert bench.registry.get("v000004").card.parent == "v000001"
    assert (await bench.stores.serving.plan()).champion == "v000004"


async def test_a_switch_whose_answer_was_lost_is_not_taken_for_a_persons(bench: Bench) -> None:
    await bench.retrainer().run_once()
    bench.add_events(50)
    switch = bench.service.switch
    lost: list[str] = []

    async def switch_and_lose_the_answer(version: str, replaced: str | None) -> ServingPlan:
        plan = await switch(version, replaced)
        if not lost:
            lost.append(version)
            raise TransientError("Redis did not answer.")
        return plan

    bench.service.switch = switch_and_lose_the_answer  # type: ignore[method-assign]
    status = await bench.retrainer().run_once()
    assert lost == ["v000002"]
    assert (status.last_version, status.last_accepted, status.champion) == ("v000002", True, "v000002")


async def test_stopping_ends_a_training_and_leaves_nothing(bench: Bench) -> None:
    bench.script({"stuck": True})
    marker = bench.settings.home / "stuck"
    async with running(bench.retrainer()) as retrainer:
        await until_async(marker.exists, "the training is under way")
        await until_async(lambda: retrainer.status.phase == "encoder", "progress is told")
        assert 0 < retrainer.status.fraction < 1
        process = int(marker.read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    assert list(bench.settings.registry_dir.glob(".unfinished*")) == []
    assert bench.registry.versions() == []


async def test_what_a_killed_retrainer_left_is_removed(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    abandoned, used = (tmp_path / f"millrace-training-{pid}-x" for pid in (ended.pid, os.getppid()))
    for folder in (abandoned, used):
        folder.mkdir()
    async with running(bench.retrainer()) as retrainer:
        await until_async(lambda: retrainer.status.last_version == "v000001", "the first version")
    assert list(tmp_path.glob("millrace-training-*")) == [used]


async def test_what_should_serve_comes_back_after_a_loss(bench: Bench) -> None:
    await bench.retrainer().run_once()
    (name,) = bench.server.loaded()
    bench.server.unload(name)
    assert "v000001" in (await bench.service.restore() or "")
    assert bench.server.loaded() == [name]
    assert await bench.service.restore() is None
    await bench.stores.clear()
    await bench.stores.catalogue.assign(["another item"])
    assert await bench.service.restore() is None, "a version whose rows are other items must not serve"
    await bench.stores.clear()
    await bench.stores.catalogue.assign(["i1"])
    assert "v000001" in (await bench.service.restore() or "")
    assert (await bench.stores.serving.plan()).champion == "v000001"


async def test_versions_out_of_use_are_unloaded_after_a_grace_period(bench: Bench) -> None:
    for _ in range(3):
        await bench.retrainer().run_once()
        bench.add_events(1)
    assert len(bench.server.loaded()) == 3
    assert await bench.service.clean_up(now_s=0.0) == []
    assert await bench.service.clean_up(now_s=UNLOAD_AFTER_S - 1) == []
    assert await bench.service.clean_up(now_s=UNLOAD_AFTER_S) == ["recommender_v000001"]
    assert bench.server.loaded() == ["recommender_v000002", "recommender_v000003"]


async def test_a_training_that_says_nothing_for_too_long_is_unhealthy(bench: Bench) -> None:
    now_s = 0.0
    retrainer = bench.retrainer(now=lambda: now_s)
    bench.script({"held": True})
    async with running(retrainer):
        await until_async(lambda: retrainer.status.phase == "encoder", "the training has begun")
        now_s += TURN_STALLED_S + 1
        assert retrainer.healthy
        now_s += TRAINING_STALLED_S
        assert not retrainer.healthy
        (bench.settings.home / "go").touch()
        await until_async(lambda: retrainer.healthy, "the training has moved on")


async def test_a_turn_that_does_not_end_is_unhealthy_and_one_that_finds_a_server_away_is_not(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s, away, turning = 0.0, True, asyncio.Event()

    async def champion() -> None:
        if away:
            raise TransientError("Redis is away.")
        turning.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(bench.service, "champion", champion)
    retrainer = bench.retrainer(now=lambda: now_s)
    async with running(retrainer):
        now_s += TURN_STALLED_S + 1
        await until_async(lambda: retrainer.healthy and retrainer.status.waiting == "Redis is away.", "it tries again")
        away = False
        await until_async(turning.is_set, "a turn has begun that does not end")
        now_s += TURN_STALLED_S + 1
        assert not retrainer.healthy
