"""Replays recorded or synthetic activity into Kafka and measures the lists that answer it."""

import threading
import time
from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from millrace.kernel.contracts import ActivityEvent
from millrace.kernel.errors import ConfigurationError
from millrace.kernel.recent_ids import RecentIds
from millrace.kernel.settings import Settings
from millrace.kernel.topic_reader import TopicReader
from millrace.producers.delivery import Pending
from millrace.producers.lag import LagMeter
from millrace.producers.pacing import FixedRate, Pacer, RecordedSpeed, Unpaced
from millrace.producers.publisher import ActivityPublisher
from millrace.producers.window import ReplayWindow

# The loop sleeps between passes and looks without waiting: a waiting poll of a few milliseconds spins in its last one.
# A closed loop looks more often, because users wait for their lists.
_PAUSE_OPEN_S = 0.005
_PAUSE_CLOSED_S = 0.003
# A fetch costs as much as ten records. Only a closed loop has reason to ask often; latencies come from timestamps.
_FETCH_WAIT_CLOSED_MS = 10
_FETCH_WAIT_OPEN_MS = 50
_PROGRESS_EVERY_S = 0.1
_LAG_EVERY_S = 1.0
# With everything sent, this long without an answer means that no more will come.
_QUIET_S = 5.0
# A burst between two looks for answers; keeps the loop responsive when nothing else bounds it.
_BURST = 256
_REMEMBERED_IDS = 100_000


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """How to replay.

    Args:
        rate: Events per second; in a closed loop an upper bound.
        speed: Event time as a multiple of real time; not together with `rate`.
        closed_loop: A user's next event waits for the list answering the one before.
        window: Closed loop: how many events to look ahead of the oldest one not yet sent.
        max_in_flight: Closed loop: most unanswered events.
        deadline_s: An event unanswered for so long counts as given up; None: 5 s in a closed loop, else 60 s.
        max_lag: Pause while a consumer group is further behind: the embedded broker keeps about 30,000
            events per partition. 0: never.
        watch: Read the recommendations; without it nothing is known about answers.
    """

    rate: float | None = None
    speed: float | None = None
    closed_loop: bool = False
    window: int = 5000
    max_in_flight: int = 256
    deadline_s: float | None = None
    max_lag: int = 20_000
    watch: bool = True

    def pacer(self) -> Pacer:
        """Return the schedule.

        Raises:
            ConfigurationError: Rate and speed contradict each other or are not positive.
        """
        if self.rate is not None and self.speed is not None:
            raise ConfigurationError("A replay follows either a rate or a speed; give one of them.")
        if min(self.rate or 1.0, self.speed or 1.0) <= 0 or 0 in (self.rate, self.speed):
            raise ConfigurationError("The rate or speed of a replay must be greater than 0.")
        if self.rate is not None:
            return FixedRate(self.rate, catch_up=not self.closed_loop)
        return RecordedSpeed(self.speed) if self.speed is not None else Unpaced()


@dataclass(frozen=True, slots=True)
class Answer:
    """A list that answered a replayed event.

    Args:
        event: The event.
        value: The recommendation record's value (JSON).
        latency_ms: From the event's record timestamp to the list's.
    """

    event: ActivityEvent
    value: bytes
    latency_ms: int


@dataclass(slots=True)
class ReplayResult:
    """What came out so far; the same object is passed to `on_progress` while it grows.

    `position` is how many events from the beginning Kafka has confirmed without a gap: where to go on after a crash.
    """

    published: int = 0
    answered: int = 0
    unanswered: int = 0
    repeated: int = 0
    fallback: int = 0
    lag: int | None = None
    lagging_role: str | None = None
    in_flight: int = 0
    position: int = 0
    seconds: float = 0.0
    sending_s: float = 0.0
    interrupted: bool = False
    latencies_ms: "array[int]" = field(default_factory=lambda: array("i"))
    by_version: Counter[str] = field(default_factory=Counter)

    @property
    def events_per_s(self) -> float:
        """Mean rate from the beginning to the last event sent."""
        return self.published / self.sending_s if self.sending_s > 0 else 0.0


def percentiles_ms(latencies_ms: Sequence[int]) -> dict[str, float] | None:
    """Return the nearest-rank p50, p95 and p99, or None without any value."""
    ordered = sorted(latencies_ms)
    if not ordered:
        return None
    return {f"p{share}": float(ordered[min(len(ordered) - 1, len(ordered) * share // 100)]) for share in (50, 95, 99)}


class Replayer:
    """Sends events on a schedule and matches the lists that come back.

    Args:
        settings: Addresses.
        publisher: Where to send; the caller closes it.
        options: How to replay.
        on_progress: Called ten times a second, and at the end, with the result so far.
        on_answer: Called for each first list of an event, on the replaying thread: be quick.
    """

    def __init__(
        self,
        settings: Settings,
        publisher: ActivityPublisher,
        options: ReplayOptions | None = None,
        *,
        on_progress: Callable[[ReplayResult], None] | None = None,
        on_answer: Callable[[Answer], None] | None = None,
    ) -> None:
        self._settings = settings
        self._publisher = publisher
        self._options = options or ReplayOptions()
        self._on_progress = on_progress
        self._on_answer = on_answer
        if self._options.closed_loop and not self._options.watch:
            raise ConfigurationError("A closed loop has to watch for answers.")

    def run(self, events: Iterator[ActivityEvent], stop: threading.Event | None = None) -> ReplayResult:
        """Replay until the events end and are answered, or `stop` is set.

        Raises:
            InvalidRecordError: An event breaks the contract.
            DeliveryError: The broker did not take an event.
        """
        options = self._options
        default_s = 5.0 if options.closed_loop else 60.0
        window = ReplayWindow(
            events,
            closed_loop=options.closed_loop,
            window=options.window,
            max_in_flight=options.max_in_flight,
            deadline_s=options.deadline_s or default_s,
        )
        reader = self._reader() if options.watch else None
        meter = _BackgroundLag(self._settings) if options.max_lag else None
        try:
            run = _Run(self._publisher, window, options, reader, meter, self._on_progress, self._on_answer)
            return run.until_done(stop or threading.Event())
        finally:
            if meter is not None:
                meter.close()
            if reader is not None:
                reader.close()

    def _reader(self) -> TopicReader:
        least_ms = _FETCH_WAIT_CLOSED_MS if self._options.closed_loop else _FETCH_WAIT_OPEN_MS
        wait_ms = max(self._settings.kafka_fetch_wait_ms, least_ms)
        return TopicReader(self._settings, self._settings.topics.recommendations, "latest", fetch_wait_ms=wait_ms)


class _Unconfirmed:
    """The events that Kafka has yet to confirm, by position.

    How many there are would not do: partitions confirm by themselves, so that one which is slow holds events far behind
    the newest.
    """

    def __init__(self) -> None:
        self._sent: deque[tuple[int, Pending]] = deque()

    def add(self, position: int, pending: Pending) -> None:
        """Take note of an event on its way."""
        self._sent.append((position, pending))

    def oldest(self) -> int | None:
        """Return the first position that is not confirmed, None if all are.

        Raises:
            DeliveryError: The broker did not take an event.
        """
        on_the_way: deque[tuple[int, Pending]] = deque()
        for position, pending in self._sent:
            if pending.done:
                pending.result()
            else:
                on_the_way.append((position, pending))
        self._sent = on_the_way
        return min((position for position, _ in on_the_way), default=None)


class _Run:
    """One replay: the loop and what it keeps."""

    def __init__(
        self,
        publisher: ActivityPublisher,
        window: ReplayWindow,
        options: ReplayOptions,
        reader: TopicReader | None,
        meter: "_BackgroundLag | None",
        on_progress: Callable[[ReplayResult], None] | None,
        on_answer: Callable[[Answer], None] | None,
    ) -> None:
        self._publisher = publisher
        self._window = window
        self._pacer = options.pacer()
        self._max_lag = options.max_lag
        self._pause_s = _PAUSE_CLOSED_S if options.closed_loop else _PAUSE_OPEN_S
        self._reader = reader
        self._meter = meter
        self._on_progress = on_progress
        self._on_answer = on_answer
        self._unconfirmed = _Unconfirmed()
        self._seen = RecentIds(_REMEMBERED_IDS)
        self._result = ReplayResult()
        self._started_s = time.monotonic()
        self._progress_s = 0.0
        self._last_life_s = self._started_s

    def until_done(self, stop: threading.Event) -> ReplayResult:
        """Run the loop."""
        while not stop.is_set() and not self._over(time.monotonic()):
            more = self._send_due()
            if not more:
                time.sleep(self._pause_s)
            self._receive()
            self._window.expire(time.monotonic())
            self._report()
        self._publisher.flush()
        self._result.interrupted = stop.is_set()
        self._result.unanswered = self._result.published - self._result.answered if self._reader is not None else 0
        self._report(final=True)
        return self._result

    def _over(self, now_s: float) -> bool:
        if not self._window.all_sent:
            return False
        if self._reader is None or self._window.finished:
            return True
        return now_s - self._last_life_s > _QUIET_S

    def _send_due(self) -> bool:
        """Send what is due, up to a burst, and return whether there is more."""
        if self._held_back():
            return False
        for _ in range(_BURST):
            event = self._window.next()
            now_s = time.monotonic()
            if event is None or self._pacer.wait_s(now_s, event.ts_ms) > 0:
                return False
            pending = self._publisher.publish_async(event)
            self._pacer.sent(now_s)
            self._unconfirmed.add(self._window.sent(now_s), pending)
            self._result.published += 1
            self._last_life_s = now_s
            self._result.sending_s = now_s - self._started_s
        return True

    def _held_back(self) -> bool:
        if self._meter is None:
            return False
        self._result.lag, self._result.lagging_role = self._meter.worst
        return (self._result.lag or 0) > self._max_lag

    def _receive(self) -> None:
        if self._reader is not None:
            for record in self._reader.poll(0.0):
                self._take(record)

    def _take(self, record: Any) -> None:
        fields = orjson.loads(record.value)
        now_s = time.monotonic()
        answered = self._window.answered(fields["event_id"], now_s)
        if self._seen.is_repeat(fields["recommendation_id"]):
            self._result.repeated += 1
        if answered is None:
            return
        self._last_life_s = now_s
        self._result.answered += 1
        self._result.fallback += fields["fallback"] is not None
        self._result.by_version[fields["model_version"] or "none"] += 1
        latency_ms = record.timestamp - fields["received_ts_ms"]
        self._result.latencies_ms.append(latency_ms)
        if self._on_answer is not None:
            self._on_answer(Answer(answered.event, record.value, latency_ms))

    def _report(self, final: bool = False) -> None:
        now_s = time.monotonic()
        if not final and now_s - self._progress_s < _PROGRESS_EVERY_S:
            return
        self._progress_s = now_s
        self._result.seconds = now_s - self._started_s
        self._result.in_flight = self._window.in_flight
        oldest = self._unconfirmed.oldest()
        sent = self._window.position
        self._result.position = sent if oldest is None else min(oldest, sent)
        if self._on_progress is not None:
            self._on_progress(self._result)


class _BackgroundLag:
    """Measures the lag on a thread of its own: asking the broker takes longer than the loop may pause."""

    def __init__(self, settings: Settings) -> None:
        self._meter = LagMeter(settings, settings.topics.events)
        self._stop = threading.Event()
        self.worst: tuple[int | None, str | None] = (None, None)
        self._thread = threading.Thread(target=self._run, name="replay-lag", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()
        self._meter.close()

    def _run(self) -> None:
        while not self._stop.wait(_LAG_EVERY_S):
            lags = self._meter.lags()
            if lags:
                role = max(lags, key=lambda name: lags[name])
                self.worst = (lags[role], role)
