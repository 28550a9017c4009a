"""A real training process, a real Triton: two versions from a log, the second one warm-started and switched to."""

import asyncio
import json
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from millrace.consumers.importing import import_history
from millrace.kernel.settings import Settings
from millrace.model.configuration import ModelConfiguration, write_configuration
from millrace.model.registry import Registry
from millrace.model.triton_admin import make_admin
from millrace.producers.movielens import load_movielens
from millrace.stores.event_log import IMPORT_PARTITION, LoggedEvent, open_event_log
from millrace.stores.item_ids import read_item_ids
from millrace.stores.redis.stores import open_stores
from millrace.stores.redis.values import ServingPlan
from millrace.streams.rebuild import rebuild

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(600)]

DATA = Path(__file__).parents[3] / "data" / "ml-latest-small"
FIRST, NEW = 1500, 300


def retrain_once(settings: Settings) -> str:
    environment = {**os.environ, **settings.environment()}
    command = [sys.executable, "-P", "-m", "millrace", "retrainer", "--once"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def plan_of(settings: Settings) -> ServingPlan:
    async with open_stores(settings) as stores:
        return await stores.serving.plan()


async def test_two_versions_from_the_log(settings: Settings, tmp_path: Path) -> None:
    # The process is what is tested, not what it learns.
    quick = {"encoder.epochs": 2, "encoder.refresh_epochs": 1}
    write_configuration(tmp_path / "quick.toml", ModelConfiguration().with_changes(quick))
    settings = settings.model_copy(update={"model_configuration": tmp_path / "quick.toml"})
    data = load_movielens(DATA)
    log, server = open_event_log(settings), make_admin(settings)
    events = data.slice(0, FIRST + NEW)
    import_history(log, data.items, islice(events, FIRST))
    async with open_stores(settings) as stores:
        await rebuild(log, stores.redis, settings)
    assert "v000001" in await asyncio.to_thread(retrain_once, settings)
    assert (await plan_of(settings)).champion == "v000001"
    assert "recommender_v000001" in server.loaded()
    assert "Nothing new" in await asyncio.to_thread(retrain_once, settings)

    log.append([LoggedEvent(0, offset, event.ts_ms, event) for offset, event in enumerate(events)])
    said = await asyncio.to_thread(retrain_once, settings)
    registry = Registry(settings.registry_dir)
    second = registry.get("v000002")
    assert second.card.parent == "v000001"
    assert second.card.position == {IMPORT_PARTITION: FIRST - 1, 0: NEW - 1}
    assert second.card.events == FIRST + NEW
    assert second.card.verdict in said
    plan = await plan_of(settings)
    if second.card.accepted:
        assert (plan.champion, plan.previous) == ("v000002", "v000001")
        assert {"recommender_v000001", "recommender_v000002"} <= set(server.loaded())
    else:
        assert plan.champion == "v000001"
    ids = read_item_ids(second.path) or []
    async with open_stores(settings) as stores:
        assert await stores.catalogue.item_ids(list(range(1, len(ids) + 1))) == ids
    assert json.loads((second.path / "card.json").read_text())["serving"]["version"] == "v000002"
    for name in server.loaded():
        server.unload(name)
    server.close()
    log.close()
