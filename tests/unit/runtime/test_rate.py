import pytest

from millrace.runtime.rate import WINDOW_S, Rate


def test_the_rate_is_that_of_the_last_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    rate = Rate()
    assert rate.per_s(50) == 0.0
    now += 2.0
    assert rate.per_s(250) == 100.0
    for _ in range(20):
        now += 1.0
        last = rate.per_s(250)
    assert last == 0.0, f"what was more than {WINDOW_S} s ago no longer counts"
