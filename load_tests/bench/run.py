"""Runs the bench: bare Faust, the full pipeline on the same records, latency at steady rates, memory."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console

from millrace.apps.measuring.learned_stack import await_model, await_roles, load_history, streamed_events
from millrace.apps.measuring.percentiles import Percentiles
from millrace.apps.measuring.screen import PhaseBar, Screen
from millrace.apps.measuring.store_view import StoreView
from millrace.apps.stacks.child import Child
from millrace.apps.stacks.choosing import StackOptions, make_stack
from millrace.apps.stacks.roles import Roles, default_roles
from millrace.apps.stacks.stack import Stack
from millrace.kernel.contracts import ActivityEvent
from millrace.kernel.errors import ConfigurationError
from millrace.kernel.settings import Settings
from millrace.kernel.topic_reader import connect_consumer
from millrace.load_tests.bench.burst import Burst
from millrace.load_tests.bench.drain import DrainRate, measure_drain, topic_end
from millrace.load_tests.bench.event_log import measure_event_log
from millrace.load_tests.bench.report import BenchReport, LatencyAtRate, MemorySample, PipelineThroughput, Throughput
from millrace.producers import ActivityPublisher
from millrace.producers.movielens import MovieLensData, load_movielens
from millrace.producers.records import encode_event
from millrace.producers.replay import Replayer, ReplayOptions
from millrace.producers.synthetic import SyntheticOptions, SyntheticStream
from millrace.stores.event_log import open_event_log

HISTORY_SHARE = 0.6
BARE_READY_DEADLINE_S = 60.0
DRAIN_DEADLINE_S = 300.0
# Bursts of the memory run: far below what the embedded broker keeps for a slow reader.
SOAK_BURST = 5_000
_BARE_IN, _BARE_OUT = "bare.in", "bare.out"


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """Options of one run.

    Args:
        data: MovieLens folder.
        events: Records of the throughput measurement.
        rates: Steady rates of the latency measurement, events per second.
        seconds_per_rate: How long each is held.
        soak_events: Synthetic events of the memory measurement; 0 leaves it out.
        home: Folder for this run's data and logs.
        stack: Which servers: `embedded` or `local`.
    """

    data: Path = Path("data/ml-latest-small")
    events: int = 10_000
    rates: tuple[float, ...] = (100.0, 300.0, 500.0)
    seconds_per_rate: float = 10.0
    soak_events: int = 0
    home: Path = Path(".millrace/bench")
    stack: str = "embedded"

    @property
    def needed_events(self) -> int:
        """Ratings that the run replays after the history."""
        return self.events + int(sum(self.rates) * self.seconds_per_rate)


@dataclass(slots=True)
class Bench:
    """One run.

    Args:
        options: What to do.
        console: Where to draw progress.
    """

    options: BenchOptions
    console: Console
    _seconds: dict[str, float] = field(default_factory=dict)

    def run(self) -> BenchReport:
        """Run everything and return the figures.

        Raises:
            ConfigurationError: The data is unusable or too small.
            FatalError: A server or role does not start or keeps ending.
            TransientError: Something did not keep up within the deadline.
        """
        data = load_movielens(self.options.data)
        available = len(data) - data.bounds(0.0, HISTORY_SHARE)[1]
        if available < self.options.needed_events:
            raise ConfigurationError(
                f"The bench needs {self.options.needed_events} ratings after the first {HISTORY_SHARE:.0%}, but "
                f"{self.options.data} has {available}; give fewer with --events or --seconds-per-rate."
            )
        # The rate is that of lists, one for each event: none may be left out because many wait.
        options = StackOptions(fresh=True, overrides={"backlog_events": 0})
        stack = make_stack(self.options.stack, self.options.home, options)
        with stack, Screen(self.console) as screen:
            return self._run(screen, stack, data)

    def _run(self, screen: Screen, stack: Stack, data: MovieLensData) -> BenchReport:
        settings = stack.settings
        with self._phase(screen, "history", "Learning the past: oldest 60 %") as bar:
            first = load_history(data, HISTORY_SHARE, settings, bar.advance)
        events = data.slice(first, first + self.options.needed_events)
        records = [encode_event(event, settings.event_policy) for event in islice(events, self.options.events)]
        with self._phase(screen, "event_log", "Event log alone"):
            event_log = measure_event_log(settings)
        with self._phase(screen, "bare", "Bare Faust agent") as bar:
            bare = self._bare(stack, records, bar)
        roles = Roles(stack, default_roles(retrain_every_events=None))
        roles.start()
        with StoreView(settings) as view:
            with self._phase(screen, "train", "Training the first model") as bar:
                await_model(roles, view, bar.advance)
                await_roles(roles, view)
            with self._phase(screen, "pipeline", "Full pipeline") as bar:
                pipeline = self._pipeline(stack, view, records, bar)
            latency = tuple(self._latency(screen, settings, events, rate) for rate in self.options.rates)
            with self._phase(screen, "memory", "Worker memory") as bar:
                memory = self._memory(settings, roles, view, bar)
        return BenchReport(
            stack=self.options.stack,
            cores=os.cpu_count() or 1,
            event_log=event_log,
            bare_faust=Throughput(events=bare.events, events_per_s=bare.per_s),
            pipeline=pipeline,
            ratio=pipeline.events_per_s / bare.per_s,
            latency=latency,
            memory=memory,
            seconds=self._seconds,
        )

    @contextmanager
    def _phase(self, screen: Screen, name: str, description: str) -> Iterator[PhaseBar]:
        with screen.phase(description) as bar:
            yield bar
        self._seconds[name] = round(bar.seconds, 2)

    def _bare(self, stack: Stack, records: Sequence[tuple[bytes, bytes]], bar: PhaseBar) -> DrainRate:
        settings = stack.settings
        burst, consumer = Burst(settings.kafka_bootstrap), connect_consumer(settings)
        stack.create_topics([_BARE_IN, _BARE_OUT])
        burst.send(_BARE_IN, records[:1])
        partitions = len(consumer.partitions_for_topic(_BARE_IN) or ())
        argv = [sys.executable, "-P", "-m", "millrace.load_tests.bench.bare_agent"]
        agent = stack.spawn("bare", [*argv, settings.kafka_bootstrap, _BARE_IN, _BARE_OUT, str(partitions)])

        name = "the bare agent"

        def count() -> int:
            return topic_end(consumer, _BARE_OUT)

        try:
            measure_drain({name: count}, 1, BARE_READY_DEADLINE_S, lambda fraction: None)
            rates = measure_drain(
                {name: count},
                len(records),
                DRAIN_DEADLINE_S,
                bar.advance,
                lambda: burst.send(_BARE_IN, records),
            )
            return rates[name]
        finally:
            agent.stop()
            consumer.close()

    def _pipeline(
        self,
        stack: Stack,
        view: StoreView,
        records: Sequence[tuple[bytes, bytes]],
        bar: PhaseBar,
    ) -> PipelineThroughput:
        settings = stack.settings
        consumer = connect_consumer(settings)
        before = _cpu_seconds(stack.children)
        fallback_before = _fallback_lists(view)
        rates = _drain_roles(settings, view, consumer, records, bar)
        consumer.close()
        cpu = {name: seconds - before.get(name, 0.0) for name, seconds in _cpu_seconds(stack.children).items()}
        return PipelineThroughput(
            events=len(records),
            events_per_s=min(rate.per_s for rate in rates.values()),
            by_role_per_s={name: rate.per_s for name, rate in rates.items()},
            cpu_ms_per_event={name: 1000 * seconds / len(records) for name, seconds in cpu.items() if seconds > 0},
            fallback_lists=_fallback_lists(view) - fallback_before,
        )

    def _latency(
        self, screen: Screen, settings: Settings, events: Iterator[ActivityEvent], rate: float
    ) -> LatencyAtRate:
        count = int(rate * self.options.seconds_per_rate)
        with (
            self._phase(screen, f"latency_{rate:g}", f"Latency at {rate:g} events/s") as bar,
            ActivityPublisher(settings) as publisher,
        ):
            replayer = Replayer(
                settings,
                publisher,
                ReplayOptions(rate=rate),
                on_progress=lambda result: bar.advance(result.published / count),
            )
            result = replayer.run(islice(events, count))
        return LatencyAtRate(
            rate_per_s=rate,
            events=result.published,
            reached_per_s=result.events_per_s,
            unanswered=result.unanswered,
            event_to_recommendation_ms=Percentiles.of(result.latencies_ms),
        )

    def _memory(self, settings: Settings, roles: Roles, view: StoreView, bar: PhaseBar) -> tuple[MemorySample, ...]:
        worker, total = roles.children["worker"], self.options.soak_events
        samples = [MemorySample(events=0, worker_mib=_mib(worker))]
        stream = SyntheticStream(SyntheticOptions(events=total))
        records = (encode_event(event, settings.event_policy) for event in stream.events())
        consumer = connect_consumer(settings)
        for done in range(0, total, SOAK_BURST):
            part = list(islice(records, SOAK_BURST))
            _drain_roles(settings, view, consumer, part, None)
            samples.append(MemorySample(events=done + len(part), worker_mib=_mib(worker)))
            bar.advance((done + len(part)) / total)
        consumer.close()
        return tuple(samples)


def _drain_roles(
    settings: Settings,
    view: StoreView,
    consumer: Any,
    records: Sequence[tuple[bytes, bytes]],
    bar: PhaseBar | None,
) -> dict[str, DrainRate]:
    """Send records at once and watch every role work them off."""
    with closing(open_event_log(settings)) as log:
        return measure_drain(
            {
                "recommendations": lambda: topic_end(consumer, settings.topics.recommendations),
                "statistics": lambda: view.done("statistics", settings.topics.events),
                "event_log": lambda: streamed_events(log),
            },
            len(records),
            DRAIN_DEADLINE_S,
            bar.advance if bar else lambda fraction: None,
            lambda: Burst(settings.kafka_bootstrap).send(settings.topics.events, records),
        )


def _cpu_seconds(children: Sequence[Child]) -> dict[str, float]:
    times = os.times()
    return {"bench": times.user + times.system, **{child.name: child.cpu_seconds() for child in children}}


def _fallback_lists(view: StoreView) -> int:
    return sum(count for name, count in view.counters().items() if name.startswith("fallback:"))


def _mib(child: Child) -> float:
    return round(child.rss_bytes() / 2**20, 1)
