import pytest

from millrace.kernel.errors import ConfigurationError
from millrace.producers.replay import ReplayOptions, percentiles_ms
from millrace.producers.replay.pacing import FixedRate, RecordedSpeed, Unpaced


def send_times(pacer: FixedRate, events: int, delays_s: dict[int, float]) -> list[float]:
    """Return when each event goes out if the loop sleeps exactly as told, plus extra delays before some events."""
    now_s, times = 100.0, []
    for number in range(events):
        now_s += delays_s.get(number, 0.0)
        now_s += max(0.0, pacer.wait_s(now_s, 0))
        pacer.sent(now_s)
        times.append(now_s - 100.0)
    return times


def test_a_rate_is_kept_exactly() -> None:
    assert send_times(FixedRate(200.0), 1001, {})[-1] == pytest.approx(5.0)


def test_delays_do_not_add_up() -> None:
    late = dict.fromkeys(range(1, 1000, 10), 0.04)
    assert send_times(FixedRate(200.0), 1001, late)[-1] == pytest.approx(5.0)


def test_after_a_stall_a_rate_catches_up_and_a_cap_does_not() -> None:
    stall = {100: 2.0}
    assert send_times(FixedRate(100.0), 401, stall)[-1] == pytest.approx(4.0)
    assert send_times(FixedRate(100.0, catch_up=False), 401, stall)[-1] == pytest.approx(6.0, abs=0.1)


def test_a_cap_never_bursts() -> None:
    times = send_times(FixedRate(100.0, catch_up=False), 400, {100: 2.0})
    assert max(sum(start <= t < start + 1.0 for t in times) for start in times) <= 106


def test_recorded_speed_follows_event_time() -> None:
    pacer = RecordedSpeed(1000.0)
    assert pacer.wait_s(50.0, 1_000_000) == 0.0
    assert pacer.wait_s(50.0, 1_060_000) == pytest.approx(0.06)
    assert pacer.wait_s(50.1, 1_060_000) == pytest.approx(-0.04)


def test_unpaced_is_always_due() -> None:
    assert Unpaced().wait_s(1.0, 2) == 0.0


@pytest.mark.parametrize("options", [{"rate": 1.0, "speed": 2.0}, {"rate": 0.0}, {"rate": -1.0}, {"speed": 0.0}])
def test_impossible_schedules_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError):
        ReplayOptions(**options).pacer()  # type: ignore[arg-type]


def test_percentiles_are_nearest_rank() -> None:
    assert percentiles_ms([]) is None
    assert percentiles_ms([7]) == {"p50": 7.0, "p95": 7.0, "p99": 7.0}
    assert percentiles_ms(list(range(100, 0, -1))) == {"p50": 51.0, "p95": 96.0, "p99": 100.0}
