"""The streaming part of the demo: figures while ratings are replayed, with broken records among them."""

import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from millrace.apps.demo.follow import Follower
from millrace.apps.demo.panel import StreamFigures, drawing, line
from millrace.apps.demo.poison import BrokenRecord
from millrace.apps.demo.report import LiveQuality
from millrace.apps.measuring.percentiles import Percentiles
from millrace.apps.measuring.screen import Screen
from millrace.apps.measuring.store_view import StoreView
from millrace.kernel.contracts import ActivityEvent
from millrace.producers import ActivityPublisher
from millrace.producers.replay import Answer, ReplayResult

# Redis is asked for figures this often; the screen is redrawn with every progress report.
_FIGURES_EVERY_S = 0.5
# The rate shown is that of the last seconds, so that a pause shows.
_RATE_WINDOW_S = 3.0
_RECENT_LISTS = 1000


@dataclass(slots=True)
class StreamMonitor:
    """Watches one or more replays and draws them.

    Args:
        screen: Where to draw.
        view: Source of the figures.
        follower: The followed user.
        publisher: Sends the broken records.
        broken: Broken records to send; one goes out every `broken_every` events.
        broken_every: Events between two broken records.
        total: Events of all replays together.

    Attributes:
        first_list_ms: When each version generated its first list, milliseconds since 1970.
        first_list_s: Monotonic time at which each version's first list was received.
        lists_before_first_version: Lists from online counts, of events received before any version served.
        fallback_lists: Lists from online counts, of events received after that.
    """

    screen: Screen
    view: StoreView
    follower: Follower
    publisher: ActivityPublisher
    broken: Iterator[BrokenRecord]
    broken_every: int
    total: int
    broken_sent: int = 0
    repeats_sent: int = 0
    first_list_ms: dict[str, int] = field(default_factory=dict)
    first_list_s: dict[str, float] = field(default_factory=dict)
    lists_before_first_version: int = 0
    fallback_lists: int = 0
    latencies_ms: "array[int]" = field(default_factory=lambda: array("i"))
    _before: int = 0
    _result: ReplayResult = field(default_factory=ReplayResult)
    _last_event: ActivityEvent | None = None
    _version: str | None = None
    _figures_s: float = 0.0
    _figures: StreamFigures = field(default_factory=StreamFigures)
    _marks: list[tuple[float, int]] = field(default_factory=list)

    @property
    def published(self) -> int:
        """Events sent by all replays so far."""
        return self._before + self._result.published

    def next_replay(self) -> None:
        """Keep the counts of the replay that has ended; the next one starts at 0."""
        self._before, self._result = self.published, ReplayResult()

    def on_answer(self, answer: Answer) -> None:
        """Count one list."""
        self.latencies_ms.append(answer.latency_ms)
        self.follower.answer(answer)
        self._last_event = answer.event
        served = orjson.loads(answer.value)
        if served["fallback"] is None:
            self._note_version(served["model_version"], served["generated_ts_ms"])
        else:
            self._note_fallback(served)

    def on_progress(self, result: ReplayResult) -> None:
        """Act on the progress of a replay and draw it."""
        self._result = result
        self._send_broken()
        self.draw()

    def draw(self) -> None:
        """Read the figures from Redis, if it is time, and draw them."""
        now_s = time.monotonic()
        if now_s - self._figures_s >= _FIGURES_EVERY_S:
            self._figures_s = now_s
            self._read_figures()
        figures = self._figures
        figures.published, figures.total, figures.unanswered = self.published, self.total, self._result.in_flight
        figures.events_per_s = self._recent_rate(self.published)
        if self.latencies_ms:
            latency = Percentiles.of(self.latencies_ms[-_RECENT_LISTS:])
            figures.p50_ms, figures.p99_ms = latency.p50, latency.p99
        self.screen.show(drawing(figures, self.follower.newest), line(figures))

    def _note_version(self, version: str, generated_ts_ms: int) -> None:
        """Say so when a version makes its first list; the one before may still finish a few."""
        if version in self.first_list_ms:
            return
        self.first_list_ms[version], self.first_list_s[version] = generated_ts_ms, time.monotonic()
        what = "serves" if self._version is None else f"has taken over from {self._version}"
        self.screen.say(f"[green]Version {version} {what}[/green] after {self.published:,} events.")
        self._version = version

    def _note_fallback(self, served: dict[str, Any]) -> None:
        # Batches are made in order: an event received after a version's first list was generated is in a later one.
        if served["received_ts_ms"] <= min(self.first_list_ms.values(), default=served["received_ts_ms"]):
            self.lists_before_first_version += 1
        else:
            self.fallback_lists += 1

    def _send_broken(self) -> None:
        while self.published // self.broken_every > self.broken_sent:
            record = next(self.broken, None)
            if record is None:
                return
            self.publisher.publish_raw(record.key, record.value)
            self.broken_sent += 1
            if self.repeats_sent == 0 and self._last_event is not None:
                self.publisher.publish(self._last_event)  # like a producer that has not seen the confirmation
                self.repeats_sent += 1

    def _read_figures(self) -> None:
        quality = LiveQuality.of(list(self.view.live().values()))
        self._figures.hit_rate = quality.hit_rate_at_10
        self._figures.popularity_hit_rate = quality.popularity_hit_rate_at_10
        self._figures.version = self._version
        self._figures.learning = learning_status(self.view)

    def _recent_rate(self, published: int) -> float:
        now_s = time.monotonic()
        self._marks.append((now_s, published))
        while now_s - self._marks[0][0] > _RATE_WINDOW_S:
            del self._marks[0]
        since_s, count = self._marks[0]
        return (published - count) / (now_s - since_s) if now_s > since_s else 0.0


def learning_status(view: StoreView) -> str:
    """Return the retrainer's phase in words, or nothing while it is idle."""
    status = view.heartbeat("retrainer") or {}
    phase, fraction = str(status.get("phase") or ""), status.get("fraction")
    if phase in {"", "idle", "waiting"}:
        return ""
    return f"{phase} {fraction:.0%}" if isinstance(fraction, float) else phase
