"""The clock that rates a drained backlog, against counters whose speed is known."""

import pytest

from millrace.kernel.errors import TransientError
from millrace.load_tests.bench import drain
from millrace.load_tests.bench.drain import measure_drain


class FakeTime:
    """A clock that only moves when someone waits."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    fake = FakeTime()
    monkeypatch.setattr(drain, "time", fake)
    return fake


def test_each_counter_has_its_own_rate(clock: FakeTime) -> None:
    counters = {"fast": lambda: 5 + int(clock.now_s * 1000), "slow": lambda: int(clock.now_s * 100)}
    rates = measure_drain(counters, 1000, 60, lambda fraction: None)
    assert rates["fast"].per_s == pytest.approx(1000, rel=0.05)
    assert rates["slow"].per_s == pytest.approx(100, rel=0.05)


def test_what_was_there_before_does_not_count(clock: FakeTime) -> None:
    rates = measure_drain({"role": lambda: 10_000 + int(clock.now_s * 100)}, 1000, 60, lambda fraction: None)
    assert rates["role"].seconds == pytest.approx(9, rel=0.05)


def test_the_load_is_sent_after_the_first_look(clock: FakeTime) -> None:
    seen: list[float] = []
    count = {"role": 0}

    def start() -> None:
        seen.append(clock.now_s)
        count["role"] = 100

    measure_drain({"role": lambda: count["role"]}, 100, 60, lambda fraction: None, start)
    assert seen == [0.0]


def test_the_one_that_is_behind_is_named(clock: FakeTime) -> None:
    counters = {"done": lambda: int(clock.now_s * 1000), "stuck": lambda: 0}
    with pytest.raises(TransientError, match=r"stuck came to 0%"):
        measure_drain(counters, 100, 5, lambda fraction: None)
