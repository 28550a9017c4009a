"""When a log that ends before a watermark is complete all the same."""

import time
from typing import Any

import pytest

from millrace.streams.replay import Coverage
from millrace.streams.replay.coverage import time as clock


class Log:
    def __init__(self, **ends: int) -> None:
        self.ends = {int(name[1:]): end for name, end in ends.items()}

    def end(self) -> dict[int, int]:
        return self.ends


class Beats:
    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []

    async def heartbeats(self) -> list[dict[str, object]]:
        return [{"role": "worker", "at_ms": 10**15}, *self.said]

    def say(self, at_ms: int, lag: int = 0, waiting: str = "") -> None:
        self.said = [{"role": "log-writer", "at_ms": at_ms, "lag": lag, "waiting": waiting}]


@pytest.fixture
def now_ms(monkeypatch: pytest.MonkeyPatch) -> int:
    now_ns = time.time_ns()
    monkeypatch.setattr(clock, "time_ns", lambda: now_ns)
    return now_ns // 1_000_000


async def test_a_log_that_ends_there_or_later_reaches() -> None:
    coverage = Coverage(Log(p0=10, p1=5), Beats())  # type: ignore[arg-type]
    assert await coverage.reaches({0: 10, 1: 3})
    assert await coverage.reaches({})
    assert not await coverage.reaches({0: 11})
    assert not await coverage.reaches({2: 0})


async def test_a_log_writer_that_has_nothing_left_some_seconds_later_tells_that_the_rest_are_dead_letters(
    now_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats = Beats()
    coverage = Coverage(Log(p0=10), beats)  # type: ignore[arg-type]
    assert not await coverage.reaches({0: 12})
    for at_ms, lag, waiting in ((now_ms + 2999, 0, ""), (now_ms + 9999, 1, ""), (now_ms + 9999, 0, "Kafka is away")):
        beats.say(at_ms, lag, waiting)
        assert not await coverage.reaches({0: 12})
    beats.say(now_ms + 3000)
    assert await coverage.reaches({0: 12})
    # What comes after it has said so is another matter.
    monkeypatch.setattr(clock, "time_ns", lambda: (now_ms + 3000) * 1_000_000)
    assert not await coverage.reaches({0: 13})


async def test_every_log_writer_has_to_say_so(now_ms: int) -> None:
    beats = Beats()
    coverage = Coverage(Log(p0=10), beats)  # type: ignore[arg-type]
    assert not await coverage.reaches({0: 12})
    beats.say(now_ms + 5000)
    beats.said.append({"role": "log-writer", "at_ms": now_ms, "lag": 0})
    assert not await coverage.reaches({0: 12})
