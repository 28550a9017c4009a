"""Learning late: by seconds of the stream, or by events at a rate."""

from millrace.kernel.user_state import ResolvedEvent, UserState
from millrace.model.evaluation.lateness import Lateness


def event(number: int, ts_ms: int) -> ResolvedEvent:
    return ResolvedEvent(f"e{number}", "u", number, 4.0, ts_ms)


def learned_after(times_ms: list[int], lag_s: float, rate: float | None) -> list[int]:
    """Return how many events were learned after each."""
    learned: list[int] = []
    late = Lateness(lambda before, happened: learned.append(happened.item), lag_s, rate)
    counts = []
    for number, ts_ms in enumerate(times_ms):
        late.learn(UserState("u"), event(number, ts_ms))
        counts.append(len(learned))
    assert learned == sorted(learned)
    return counts


def test_without_a_lag_everything_is_learned_at_once() -> None:
    assert learned_after([0, 0, 5], 0.0, None) == [1, 2, 3]


def test_seconds_are_those_of_the_events() -> None:
    assert learned_after([0, 1000, 1999, 2000, 9000], 2.0, None) == [0, 0, 0, 1, 4]


def test_at_a_rate_seconds_are_so_many_events() -> None:
    assert learned_after([0, 0, 0, 0, 0], 0.5, 4.0) == [0, 0, 1, 2, 3]
