"""Sends events on a schedule and matches the lists that answer them."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from millrace.kernel.contracts import ActivityEvent
from millrace.kernel.errors import ConfigurationError
from millrace.kernel.recent_ids import RecentIds
from millrace.kernel.settings import Settings
from millrace.kernel.topic_reader import TopicReader
from millrace.producers.lag import BackgroundLag
from millrace.producers.publisher import ActivityPublisher
from millrace.producers.replay.options import ReplayOptions
from millrace.producers.replay.result import Answer, ReplayResult
from millrace.producers.replay.unconfirmed import Unconfirmed
from millrace.producers.replay.window import ReplayWindow

# The loop sleeps between passes and polls without waiting: a poll with a timeout of a few milliseconds busy-waits.
# A closed loop polls more often, because users wait for their lists.
_PAUSE_OPEN_S = 0.005
_PAUSE_CLOSED_S = 0.003
# A fetch costs as much as ten records. Only a closed loop has to fetch often; latencies come from record timestamps.
_FETCH_WAIT_CLOSED_MS = 10
_FETCH_WAIT_OPEN_MS = 50
_PROGRESS_EVERY_S = 0.1
# After the last event, this long without an answer means that no more will arrive.
_QUIET_S = 5.0
# Most events between two polls for answers; keeps the loop responsive when nothing else bounds it.
_BURST = 256
_REMEMBERED_IDS = 100_000


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
        meter = BackgroundLag(self._settings) if options.max_lag else None
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


class _Run:
    """One replay: the loop and its state."""

    def __init__(
        self,
        publisher: ActivityPublisher,
        window: ReplayWindow,
        options: ReplayOptions,
        reader: TopicReader | None,
        meter: BackgroundLag | None,
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
        self._unconfirmed = Unconfirmed()
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
