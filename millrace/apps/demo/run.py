"""Runs the demo: stack, history, live stream; models are trained beside it and swapped in; then the figures."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from millrace.apps.demo.figures import build_report, dead_letters, events_processed, trainings_finished
from millrace.apps.demo.follow import Follower, choose_user
from millrace.apps.demo.options import DemoOptions
from millrace.apps.demo.poison import broken_records
from millrace.apps.demo.report import DemoReport
from millrace.apps.demo.stream import StreamMonitor
from millrace.apps.measuring.learned_stack import (
    TRAINING_DEADLINE_S,
    await_roles,
    load_history,
    streamed_events,
    wait_for,
)
from millrace.apps.measuring.screen import PhaseBar, Screen
from millrace.apps.measuring.store_view import StoreView
from millrace.apps.stacks.child import Child
from millrace.apps.stacks.choosing import StackOptions, make_stack
from millrace.apps.stacks.roles import Roles, default_roles
from millrace.apps.stacks.stack import Stack
from millrace.kernel.contracts import ActivityEvent
from millrace.kernel.settings import Settings
from millrace.model.configuration import ModelConfiguration, write_configuration
from millrace.producers import ActivityPublisher
from millrace.producers.movielens import MovieLensData, load_movielens
from millrace.producers.replay import Replayer, ReplayOptions, ReplayResult
from millrace.stores.event_log import EventLog, open_event_log

# Fusion and re-ranker learn this often; the encoder when the log has grown enough.
RETRAIN_EVERY_EVENTS = 2_000
# The stream stops at a share until so many versions serve, so that the summary of a short one compares them too. One of
# the default length goes on: they serve before it gets there.
WAITS = ((0.45, 1), (0.9, 2))
# Passes of the encoder's first training. By default passes go on until held-out events gain nothing, which takes
# three times as long and would end with the stream.
ENCODER_PASSES = 4
DRAIN_DEADLINE_S = 30.0
# Training shares the demo's cores with the model server. When the server pauses, a late list beats one without the
# model.
SCORING_DEADLINE_MS = 1_000
# Neither reads what a rebuild of Redis writes last: they start while it runs.
_EARLY_ROLES = ("retrainer", "log-writer")
# `make install` does the same. Where nobody has, roles that start before it has ended would each compile the same.
_COMPILE = (sys.executable, "-P", "-m", "millrace.streams.ranking.warm_up")
COMPILING_DEADLINE_S = 600.0
_POLL_S = 0.1

Afterwards = Callable[[DemoReport, Stack, Roles], None]


@dataclass(slots=True)
class Demo:
    """One run.

    Args:
        options: What to do.
        console: Where to draw.
    """

    options: DemoOptions
    console: Console
    started_s: float = field(default_factory=time.monotonic)
    seconds: dict[str, float] = field(default_factory=dict)

    def run(self, afterwards: Afterwards = lambda report, stack, roles: None) -> DemoReport:
        """Run everything and return the figures.

        Args:
            afterwards: Called with the figures while everything still runs.

        Raises:
            ConfigurationError: The data or an option is unusable; nothing has been started.
            FatalError: A server or role does not start or keeps ending.
        """
        data = load_movielens(self.options.data, self.options.seed)
        self.options.check(len(data))
        overrides = _overrides(self.options.home)
        stack = make_stack(self.options.stack, self.options.home, StackOptions(fresh=True, overrides=overrides))
        try:
            with Screen(self.console) as screen:
                with self._phase(screen, "start", f"Starting the {self.options.stack} stack"):
                    stack.start()
                for note in stack.notes:
                    screen.say(escape(note))
                _write_model_configuration(overrides)
                kernels = stack.spawn("kernels", _COMPILE)
                commands = default_roles(RETRAIN_EVERY_EVENTS, quick_first=True)
                roles = Roles(stack, commands, first_health_port=stack.settings.health_port)
                with StoreView(stack.settings) as view:
                    report = self._run(screen, data, stack.settings, roles, view, kernels)
            afterwards(report, stack, roles)
        finally:
            stack.stop()
        return report

    def _run(
        self,
        screen: Screen,
        data: MovieLensData,
        settings: Settings,
        roles: Roles,
        view: StoreView,
        kernels: Child,
    ) -> DemoReport:
        first = self._prepare(screen, data, settings, roles, kernels)
        with self._phase(screen, "ready", "Starting workers"):
            roles.start()
            await_roles(roles, view)
        last = min(len(data), first + self.options.events)
        with ActivityPublisher(settings) as publisher:
            self.seconds["until_stream"] = self._since_start()
            with self._phase(screen, "stream", f"Streaming {last - first:,} ratings") as bar:
                monitor = self._monitor(screen, view, publisher, list(data.slice(first, last)), data)
                results = self._stream(monitor, settings, publisher, data.slice(first, last), roles, bar)
            published = sum(result.published for result in results) + monitor.broken_sent + monitor.repeats_sent
            with closing(open_event_log(settings)) as log:
                with self._phase(screen, "drain", "Waiting until everything is logged"):
                    _await_logged(view, log, published)
                if monitor.first_list_s:
                    first_list_s = min(monitor.first_list_s.values())
                    self.seconds["until_first_version"] = round(first_list_s - self.started_s, 2)
                self.seconds["total"] = self._since_start()
                return build_report(
                    self.options.rate, log, view, monitor, results, published, self.seconds, settings.registry_dir
                )

    def _prepare(self, screen: Screen, data: MovieLensData, settings: Settings, roles: Roles, kernels: Child) -> int:
        """Import the history while kernels are compiled; returns how many events were imported."""

        def start_early() -> None:
            if not kernels.alive:
                roles.start(*_EARLY_ROLES)

        with self._phase(screen, "history", f"Importing the oldest {self.options.bootstrap:.0%}") as bar:
            first = load_history(data, self.options.bootstrap, settings, bar.advance, start_early)
        if kernels.alive:
            with self._phase(screen, "kernels", "Compiling kernels (first start)"):
                wait_for(lambda: not kernels.alive, COMPILING_DEADLINE_S, roles, "The kernels were not compiled")
        return first

    @contextmanager
    def _phase(self, screen: Screen, name: str, description: str) -> Iterator[PhaseBar]:
        with screen.phase(description) as bar:
            yield bar
        self.seconds[name] = round(bar.seconds, 2)

    def _since_start(self) -> float:
        return round(time.monotonic() - self.started_s, 2)

    def _monitor(
        self,
        screen: Screen,
        view: StoreView,
        publisher: ActivityPublisher,
        events: list[ActivityEvent],
        data: MovieLensData,
    ) -> StreamMonitor:
        broken = list(broken_records())
        return StreamMonitor(
            screen=screen,
            view=view,
            follower=Follower(choose_user(events), {item.item_id: item.title for item in data.items}),
            publisher=publisher,
            broken=iter(broken),
            broken_every=max(1, len(events) // (len(broken) + 1)),
            total=len(events),
        )

    def _stream(
        self,
        monitor: StreamMonitor,
        settings: Settings,
        publisher: ActivityPublisher,
        events: Iterator[ActivityEvent],
        roles: Roles,
        bar: PhaseBar,
    ) -> list[ReplayResult]:
        options = ReplayOptions(rate=self.options.rate, closed_loop=True)

        def on_progress(result: ReplayResult) -> None:
            monitor.on_progress(result)
            bar.advance(monitor.published / monitor.total)
            roles.supervise()

        replayer = Replayer(settings, publisher, options, on_progress=on_progress, on_answer=monitor.on_answer)
        results, awaited = [], 0
        while monitor.published < monitor.total:
            results.append(replayer.run(_until_wait(events, monitor, awaited)))
            monitor.next_replay()
            if monitor.published < monitor.total:
                awaited = _versions_needed(monitor.published, monitor.total)
                _await_versions(awaited, monitor, roles)
        return results


def _until_wait(events: Iterator[ActivityEvent], monitor: StreamMonitor, awaited: int) -> Iterator[ActivityEvent]:
    """Yield events up to a place that needs more versions than have made lists or were waited for."""
    for number in range(monitor.published, monitor.total):
        if max(len(monitor.first_list_ms), awaited) < _versions_needed(number, monitor.total):
            return
        yield next(events)


def _versions_needed(number: int, total: int) -> int:
    return max((versions for share, versions in WAITS if number >= int(total * share)), default=0)


def _await_versions(count: int, monitor: StreamMonitor, roles: Roles) -> None:
    """Wait until so many versions have made lists, or so many trainings have ended: one may have been refused."""

    def there() -> bool:
        monitor.draw()
        return len(monitor.first_list_ms) >= count or trainings_finished(monitor.view) >= count

    wait_for(there, TRAINING_DEADLINE_S, roles, f"Training {count} did not end")


def _await_logged(view: StoreView, log: EventLog, published: int) -> None:
    """Wait until everything is applied and logged; what is missing after the deadline shows in the report."""

    def all_there() -> bool:
        counters = view.counters()
        processed = events_processed(counters)
        return processed + sum(dead_letters(counters).values()) >= published and streamed_events(log) >= processed

    deadline_s = time.monotonic() + DRAIN_DEADLINE_S
    while not all_there() and time.monotonic() < deadline_s:
        time.sleep(_POLL_S)


def _overrides(home: Path) -> dict[str, Any]:
    """Return the demo's settings, less those that the environment names."""
    chosen = {
        "scoring_deadline_ms": SCORING_DEADLINE_MS,
        "model_configuration": home.absolute() / "model.toml",
    }
    return {name: value for name, value in chosen.items() if f"MILLRACE_{name.upper()}" not in os.environ}


def _write_model_configuration(overrides: Mapping[str, Any]) -> None:
    if "model_configuration" in overrides:
        configuration = ModelConfiguration().with_changes({"encoder.epochs": ENCODER_PASSES})
        write_configuration(overrides["model_configuration"], configuration)
