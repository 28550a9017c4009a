"""The streaming part of the demo: replay, broken records on the way, figures and the followed user on the screen."""

import time
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import orjson

from millrace.apps.demo.follow import Follower
from millrace.apps.demo.poison import BrokenRecord
from millrace.apps.demo.report import LiveQuality, Percentiles
from millrace.apps.demo.screen import Screen, StreamFigures
from millrace.apps.demo.view import StoreView
from millrace.kernel.contracts import ActivityEvent
from millrace.producers import ActivityPublisher
from millrace.producers.replay import Answer, ReplayResult

# Redis is asked for figures this often; the screen is redrawn with every progress report.
_FIGURES_EVERY_S = 0.5
# The rate shown is that of the last seconds, so that a pause shows.
_RATE_WINDOW_S = 3.0


@dataclass(slots=True)
class StreamMonitor:
    """Watches one or more replays and draws them.

    Args:
        screen: Where to draw.
        view: Where the figures come from.
        follower: The followed user.
        publisher: Sends the broken records.
        broken: Broken records still to be sent; one goes out every `broken_every` events.
        broken_every: Events between two broken records.
        total: Events of all replays together.
        request_retraining: Called once, after `retrain_after` events.
        retrain_after: See above.
    """

    screen: Screen
    view: StoreView
    follower: Follower
    publisher: ActivityPublisher
    broken: Iterator[BrokenRecord]
    broken_every: int
    total: int
    request_retraining: Callable[[], None]
    retrain_after: int
    broken_sent: int = 0
    repeats_sent: int = 0
    first_list_ms: dict[str, int] = field(default_factory=dict)
    latencies_ms: "array[int]" = field(default_factory=lambda: array("i"))
    _before: int = 0
    _published: int = 0
    _last_event: ActivityEvent | None = None
    _version: str | None = None
    _retraining_requested: bool = False
    _figures_s: float = 0.0
    _figures: StreamFigures = field(default_factory=StreamFigures)
    _marks: list[tuple[float, int]] = field(default_factory=list)

    @property
    def published(self) -> int:
        """Events sent by all replays so far."""
        return self._published

    @property
    def swapped(self) -> bool:
        """Whether lists of more than one version have been received."""
        return len(self.first_list_ms) > 1

    def next_replay(self, previous: ReplayResult) -> None:
        """Take over the counts of a finished replay before another one begins."""
        self._before += previous.published

    def on_answer(self, answer: Answer) -> None:
        """Take note of one list."""
        self.latencies_ms.append(answer.latency_ms)
        self.follower.answer(answer)
        self._last_event = answer.event
        served = orjson.loads(answer.value)
        if served["model_version"] not in {None, self._version}:
            self._note_version(served["model_version"], served["generated_ts_ms"])

    def on_progress(self, result: ReplayResult) -> None:
        """Act on and draw the progress of a replay."""
        self._published = self._before + result.published
        self._send_broken()
        if not self._retraining_requested and self._published >= self.retrain_after:
            self._retraining_requested = True
            self.request_retraining()
        self.look()
        self._draw(result)

    def look(self) -> None:
        """Read the figures from Redis, if it is time."""
        now_s = time.monotonic()
        if now_s - self._figures_s >= _FIGURES_EVERY_S:
            self._figures_s = now_s
            self._read_figures()

    def _note_version(self, version: str, generated_ts_ms: int) -> None:
        """Say so when a new version answers for the first time; the old one may still answer after that."""
        if version not in self.first_list_ms:
            self.first_list_ms[version] = generated_ts_ms
            if self._version is not None:
                self.screen.say(f"[green]Version {version} has taken over[/green] after {self._published:,} events.")
            self._version = version

    def _send_broken(self) -> None:
        while self._published // self.broken_every > self.broken_sent:
            record = next(self.broken, None)
            if record is None:
                return
            self.publisher.publish_raw(record.key, record.value)
            self.broken_sent += 1
            if self.repeats_sent == 0 and self._last_event is not None:
                self.publisher.publish(self._last_event)  # as a producer does that did not see the confirmation
                self.repeats_sent += 1

    def _read_figures(self) -> None:
        quality = LiveQuality.of(list(self.view.live().values()))
        self._figures.hit_rate = quality.hit_rate_at_10
        self._figures.popularity_hit_rate = quality.popularity_hit_rate_at_10
        self._figures.version = self._version
        self._figures.learning = learning_status(self.view)

    def _draw(self, result: ReplayResult) -> None:
        figures = self._figures
        figures.published, figures.total, figures.lag = self._published, self.total, result.in_flight
        figures.events_per_s = self._recent_rate(self._published)
        if self.latencies_ms:
            latency = Percentiles.of(self.latencies_ms[-1000:])
            figures.p50_ms, figures.p99_ms = latency.p50, latency.p99
        self.screen.show(figures, self.follower.newest)

    def _recent_rate(self, published: int) -> float:
        now_s = time.monotonic()
        self._marks.append((now_s, published))
        while now_s - self._marks[0][0] > _RATE_WINDOW_S:
            del self._marks[0]
        since_s, count = self._marks[0]
        return (published - count) / (now_s - since_s) if now_s > since_s else 0.0


def learning_status(view: StoreView) -> str:
    """Return what the retrainer is doing, in words, or nothing while it waits."""
    status = view.heartbeat("retrainer") or {}
    phase, fraction = str(status.get("phase") or ""), status.get("fraction")
    if phase in {"", "idle", "waiting"}:
        return ""
    return f"{phase} {fraction:.0%}" if isinstance(fraction, float) else phase
