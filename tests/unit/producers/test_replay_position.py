"""Where an interrupted replay goes on: at the first event that Kafka has not confirmed, wherever that is."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from kafka.errors import KafkaTimeoutError

from millrace.kernel.contracts import ActivityEvent
from millrace.kernel.settings import Settings
from millrace.producers.delivery import DeliveryError, Pending
from millrace.producers.replay import Replayer, ReplayOptions, ReplayResult

EVENTS = 600


class Future:
    """A record's fate as the Kafka client tells it."""

    def __init__(self, is_done: bool, error: Exception | None) -> None:
        self.is_done = is_done
        self._error = error

    def get(self, timeout_s: float) -> SimpleNamespace:
        if self._error is not None:
            raise self._error
        return SimpleNamespace(topic="events", partition=0, offset=0)


class Publisher:
    """Stands for the publisher; says of each event whether it is confirmed, refused or still on its way."""

    def __init__(self, confirmed: Callable[[int], bool], refused: Callable[[int], bool] = lambda _: False) -> None:
        self._confirmed = confirmed
        self._refused = refused
        self._futures: list[Future] = []

    def publish_async(self, event: ActivityEvent) -> Pending:
        number = event.ts_ms
        error = KafkaTimeoutError("the broker is away") if self._refused(number) else None
        self._futures.append(Future(error is not None or self._confirmed(number), error))
        return Pending(event, f"Event {number}", self._futures[-1])

    def flush(self) -> None:
        for future in self._futures:
            future.is_done = True


def positions(publisher: Publisher, **options: object) -> list[int]:
    """Replay and return the positions that would have been saved on the way."""
    seen: list[int] = []

    def progress(result: ReplayResult) -> None:
        seen.append(result.position)

    stream = (
        ActivityEvent(event_id=f"e{n}", user_id=f"u{n % 7}", item_id="i", type="rating", value=3.0, ts_ms=n)
        for n in range(EVENTS)
    )
    given = ReplayOptions(watch=False, max_lag=0, **options)  # type: ignore[arg-type]
    replayer = Replayer(Settings(), publisher, given, on_progress=progress)  # type: ignore[arg-type]
    try:
        replayer.run(stream)
    except DeliveryError:
        seen.append(-1)
    return seen


@pytest.mark.parametrize("slow", [lambda n: n % 4 == 3, lambda n: n == 0, lambda n: n >= 100])
def test_nothing_unconfirmed_lies_before_the_saved_position(slow: Callable[[int], bool]) -> None:
    first, *_, last = positions(Publisher(lambda n: not slow(n)))
    assert first == next(n for n in range(EVENTS) if slow(n))
    assert last == EVENTS


def test_an_event_that_kafka_refused_is_sent_again_by_a_resumed_replay() -> None:
    *saved, outcome = positions(Publisher(lambda _: True, refused=lambda n: n == 300))
    assert outcome == -1, "the replay went on without it"
    assert all(position <= 300 for position in saved)
