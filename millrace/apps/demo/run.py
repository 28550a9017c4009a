"""Runs the demo: stack, history, first model, live stream with a retraining in the middle, figures."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice

from rich.console import Console
from rich.markup import escape

from millrace.apps.demo.bootstrap import TRAINING_DEADLINE_S, await_model, await_roles, load_history, wait_for
from millrace.apps.demo.figures import build_report, dead_letters, events_processed, streamed_events, trainings_finished
from millrace.apps.demo.follow import Follower, choose_user
from millrace.apps.demo.options import DemoOptions
from millrace.apps.demo.poison import broken_records
from millrace.apps.demo.report import DemoReport
from millrace.apps.demo.screen import PhaseBar, Screen
from millrace.apps.demo.stream import StreamMonitor
from millrace.apps.demo.view import StoreView
from millrace.apps.stacks.choosing import StackOptions, make_stack
from millrace.apps.stacks.roles import Roles, default_roles
from millrace.apps.stacks.stack import Stack
from millrace.consumers.retrainer.requests import request_retraining
from millrace.kernel.contracts import ActivityEvent
from millrace.kernel.settings import Settings
from millrace.producers import ActivityPublisher
from millrace.producers.movielens import MovieLensData, load_movielens
from millrace.producers.replay import Replayer, ReplayOptions, ReplayResult
from millrace.stores.event_log import EventLog, open_event_log

# The ranker learns what is new this often; everything learns once, when the demo asks for it.
RETRAIN_EVERY_EVENTS = 2_000
# That retraining begins early enough for its version to serve a good part of the stream. The last part is held back
# until it does, so that the summary can always compare two versions.
RETRAIN_AT = 0.3
HELD_BACK = 0.1
DRAIN_DEADLINE_S = 30.0
# Trainings share the demo's cores with the model server: where that pauses, a late list beats one without the model.
SCORING_DEADLINE_MS = 1_000
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
        stack = make_stack(self.options.stack, self.options.home, StackOptions(fresh=True, overrides=_patience()))
        try:
            with Screen(self.console) as screen:
                with self._phase(screen, "start", f"Starting the {self.options.stack} stack"):
                    stack.start()
                for note in stack.notes:
                    screen.say(escape(note))
                roles = Roles(stack, default_roles(RETRAIN_EVERY_EVENTS), first_health_port=stack.settings.health_port)
                with StoreView(stack.settings) as view:
                    report = self._run(screen, data, stack.settings, roles, view)
            afterwards(report, stack, roles)
        finally:
            stack.stop()
        return report

    def _run(
        self, screen: Screen, data: MovieLensData, settings: Settings, roles: Roles, view: StoreView
    ) -> DemoReport:
        with self._phase(screen, "history", f"Learning the past: oldest {self.options.bootstrap:.0%}") as bar:
            first = load_history(data, self.options.bootstrap, settings, bar.advance)
        roles.start()
        with self._phase(screen, "train", "Training the first model") as bar:
            await_model(roles, view, bar.advance)
        with self._phase(screen, "ready", "Waiting for all roles"):
            await_roles(roles, view)
        last = min(len(data), first + self.options.events)
        with ActivityPublisher(settings) as publisher:
            with self._phase(screen, "stream", f"Streaming {last - first:,} ratings") as bar:
                monitor = self._monitor(screen, view, publisher, settings, list(data.slice(first, last)), data)
                results = self._stream(monitor, settings, publisher, data.slice(first, last), roles, bar)
            published = sum(result.published for result in results) + monitor.broken_sent + monitor.repeats_sent
            with closing(open_event_log(settings)) as log:
                with self._phase(screen, "drain", "Waiting until everything is logged"):
                    _await_logged(view, log, published)
                return build_report(self.options.rate, log, view, monitor, results, published, self.seconds)

    @contextmanager
    def _phase(self, screen: Screen, name: str, description: str) -> Iterator[PhaseBar]:
        with screen.phase(description) as bar:
            yield bar
        self.seconds[name] = round(bar.seconds, 2)

    def _monitor(
        self,
        screen: Screen,
        view: StoreView,
        publisher: ActivityPublisher,
        settings: Settings,
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
            request_retraining=lambda: request_retraining(settings),
            retrain_after=int(len(events) * RETRAIN_AT),
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
        before = replayer.run(islice(events, int(monitor.total * (1 - HELD_BACK))))
        monitor.next_replay(before)

        def settled() -> bool:
            monitor.look()
            return monitor.swapped or trainings_finished(monitor.view) > 1

        wait_for(settled, TRAINING_DEADLINE_S, roles, "The retrained version did not take over")
        return [before, replayer.run(events)]


def _await_logged(view: StoreView, log: EventLog, published: int) -> None:
    """Wait until everything is applied and logged; what is missing after the deadline shows in the report."""

    def all_there() -> bool:
        counters = view.counters()
        processed = events_processed(counters)
        return processed + sum(dead_letters(counters).values()) >= published and streamed_events(log) >= processed

    deadline_s = time.monotonic() + DRAIN_DEADLINE_S
    while not all_there() and time.monotonic() < deadline_s:
        time.sleep(_POLL_S)


def _patience() -> dict[str, int]:
    """Return the demo's deadline for a model's answer, unless the environment names another."""
    return {} if "MILLRACE_SCORING_DEADLINE_MS" in os.environ else {"scoring_deadline_ms": SCORING_DEADLINE_MS}
