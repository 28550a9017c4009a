"""`millrace status` and `millrace recommend` against real servers, and with servers missing."""

import asyncio
import json
from collections.abc import Callable

import numpy as np
import orjson
import pytest
from typer.testing import CliRunner, Result

from millrace.apps.cli.app import build_app
from millrace.kernel.contracts import CatalogueItem
from millrace.kernel.errors import TransientError
from millrace.kernel.settings import Settings
from millrace.kernel.user_state import ResolvedEvent, ServedList, UserState, apply_event
from millrace.stores.redis.stores import Stores, open_stores
from millrace.stores.redis.values import LiveGrade, PartitionCommit, ServedUpdate, Watermark

pytestmark = pytest.mark.services

HEAT = CatalogueItem(item_id="6", title="Heat (1995)", genres=("Action", "Crime"), year=1995)
RONIN = CatalogueItem(item_id="8", title="Ronin", genres=("Action",), year=1998)


@pytest.fixture
def settings(
    own_settings: Callable[..., Settings],
    exported: Callable[[Settings], Settings],
    redis_server: str,
    kafka_broker: str,
) -> Settings:
    """Settings of a full installation without processes, also in the environment, where the commands find them."""
    servers = {"redis_url": redis_server, "kafka_bootstrap": kafka_broker, "triton_url": "in-process"}
    return exported(own_settings(**servers, kafka_fetch_wait_ms=5))


def call(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "120"}).invoke(build_app(), arguments)


async def fill(stores: Stores, settings: Settings) -> None:
    """Write what a worker would have after one event, on partition 1."""
    await stores.catalogue.upsert([HEAT, RONIN])
    await stores.users.claim(1, "w")
    state = apply_event(UserState("7"), ResolvedEvent("e", "7", 1, 4.5, 1_700_000_000_000)).state
    counters = {"events_applied": 1, "dead:too_large": 2}
    grade = LiveGrade("v000001", "champion", True, 0.5, False, 0.0)
    await stores.users.commit([PartitionCommit(1, "w", -1, 0, [state], {"7": [1]}, [grade], counters)])
    served = ServedList((2,), "v000001", "champion", "1-0-e")
    reason = {"code": "because_you_rated", "item_id": "6"}
    entry = {"item_id": "8", "rank": 1, "score": 1.0, "predicted_rating": 4.21, "reason": reason}
    record = {"recommendation_id": "1-0-e", "generated_ts_ms": 1_700_000_000_500, "fallback": None, "items": [entry]}
    await stores.users.finish(1, "w", 0, [ServedUpdate("7", served, np.array([2]), orjson.dumps(record))], {})
    await stores.serving.put_cold_list(ServedList((2, 1), None, "champion", "cold"))
    await stores.serving.set_plan("v000001")
    await stores.serving.heartbeat("worker", "host-1", {"lag": 0, "events_per_s": 1.5}, ttl_s=60)
    await stores.statistics.claim([0, 1, 2, 3], "k")
    marks = {partition: Watermark(-1, -1) for partition in range(4)}
    await stores.users.set_watermarks("statistics", settings.topics.events, marks)


@pytest.fixture
def filled(settings: Settings) -> Settings:
    async def main() -> None:
        async with open_stores(settings) as stores:
            await fill(stores, settings)

    asyncio.run(main())
    return settings


def test_status_as_json_carries_every_figure(filled: Settings) -> None:
    result = call("status", "--json")
    assert result.exit_code == 0, result.output
    status = json.loads(result.stdout)
    assert {server["name"]: server["ok"] for server in status["servers"]} == dict.fromkeys(
        ("kafka", "redis", "triton"), True
    )
    assert status["champion"] == "v000001"
    assert status["items"] == 2
    assert status["counters"] == {"events_applied": 1}
    assert status["dead_letters"] == {"too_large": 2}
    assert [(each["role"], each["state"]) for each in status["components"]][:2] == [
        ("worker", "ok"),
        ("statistics", "missing"),
    ]
    assert [(lag["role"], lag["total"]) for lag in status["lags"]] == [("worker", 0), ("statistics", 0)]
    assert status["versions"][0]["hit_rate_at_10"] == 1.0


def test_status_as_tables(filled: Settings) -> None:
    result = call("status")
    assert result.exit_code == 0
    for part in ("* v000001", "host-1", "not running", "dead letters: too_large", "records behind"):
        assert part in result.stdout, result.stdout


def test_status_of_an_empty_installation(settings: Settings) -> None:
    result = call("status")
    assert result.exit_code == 0
    assert "No model version yet" in result.stdout


def test_kafka_away_is_shown_and_the_rest_is_there(filled: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    result = call("status")
    assert result.exit_code == 0
    assert "No Kafka broker answers at 127.0.0.1:1" in result.stdout
    assert "The lag is unknown while Kafka is away." in result.stdout
    assert "* v000001" in result.stdout


def test_redis_away_is_one_sentence(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_REDIS_URL", "redis://127.0.0.1:1/0")
    for command in (("status",), ("recommend", "7"), ("models", "list")):
        result = call(*command)
        assert isinstance(result.exception, TransientError), result.output
        assert "redis://127.0.0.1:1/0" in str(result.exception)


def test_recommend_shows_history_and_the_list_with_reasons(filled: Settings) -> None:
    text = " ".join(call("recommend", "7").stdout.split())
    assert "User 7 1 event on 1 item, mean 4.50, last 2023-11-14" in text
    assert "★★★★½ Heat (1995) 2023-11-14" in text
    assert "v000001 (champion), 2023-11-14 22:13:20 UTC 1. Ronin (1998) 4.2 ★ because of Heat (1995)" in text


def test_recommend_for_an_unknown_user_is_the_list_of_new_users(filled: Settings) -> None:
    text = " ".join(call("recommend", "nobody").stdout.split())
    assert "User nobody no events yet A new user gets this list now" in text
    assert "1. Ronin (1998) 2. Heat (1995)" in text


def test_recommend_as_json(filled: Settings) -> None:
    profile = json.loads(call("recommend", "7", "--json", "--history", "0").stdout)
    assert (profile["events"], profile["history"], profile["for_new_users"]) == (1, [], False)
    assert profile["shown"]["items"][0]["reason"] == "because_you_rated"
    assert [taste["genre"] for taste in profile["genres"]] == ["Action", "Crime"]


def test_models_list_knows_a_version_that_only_serves(filled: Settings) -> None:
    assert "v000001" in call("models", "list").stdout
    (listed,) = json.loads(call("models", "list", "--json").stdout)
    assert (listed["version"], listed["role"], listed["events_graded"]) == ("v000001", "champion", 1)
