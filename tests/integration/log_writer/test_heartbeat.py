from pathlib import Path

import pytest
from waiting import until

from millrace.kernel.settings import Settings
from millrace.runtime.heartbeat import Heartbeat
from millrace.stores.redis.stores import open_stores

pytestmark = pytest.mark.services


async def beats(settings: Settings) -> list[dict[str, object]]:
    async with open_stores(settings) as stores:
        return await stores.serving.heartbeats()


async def test_the_status_arrives_and_is_refreshed(redis_server: str, tmp_path: Path) -> None:
    settings = Settings(redis_url=redis_server, redis_prefix=f"{tmp_path.name}:")
    calls: list[int] = []

    def status() -> dict[str, object]:
        calls.append(1)
        return {"calls": len(calls)}

    with Heartbeat(settings, "log-writer", status):
        until(lambda: len(calls) >= 3, "three beats")
        (beat,) = await beats(settings)
    assert beat["role"] == "log-writer"
    assert isinstance(beat["calls"], int)
    assert beat["calls"] >= 2


def test_an_absent_redis_is_waited_for_and_does_not_hinder_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(redis_url="redis://127.0.0.1:1/0")
    with Heartbeat(settings, "retrainer", dict):
        until(lambda: "heartbeat of the retrainer failed" in caplog.text, "it says so")
    assert caplog.text.count("heartbeat of the retrainer failed") == 1
