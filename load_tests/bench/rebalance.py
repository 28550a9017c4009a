"""How long events wait for their lists when workers join, leave, or die: the pause of a rebalance.

`python -m millrace.load_tests.bench.rebalance` starts Kafka and Redis, sends a steady load and changes the
workers under it.
"""

import argparse
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import orjson
from pydantic import BaseModel, ConfigDict, Field

from millrace.apps.measuring.store_view import StoreView
from millrace.apps.stacks.child import Child
from millrace.kernel.errors import TransientError
from millrace.kernel.settings import Settings
from millrace.kernel.topic_reader import TopicReader
from millrace.load_tests.bench.burst import Burst
from millrace.load_tests.bench.worker_stack import WorkerStack
from millrace.load_tests.waiting import wait_until
from millrace.producers.records import encode_event
from millrace.producers.synthetic import SyntheticOptions, SyntheticStream
from millrace.runtime.interrupts import ended_by_signals

PARTITIONS = 8
_TICK_S = 0.02
_DEADLINE_S = 90.0
# Time after the group has settled in which waiting events are answered before the next change.
_CALM_S = 2.0


class Pause(BaseModel):
    """What one change of the group cost."""

    model_config = ConfigDict(frozen=True)

    change: str
    workers: int = Field(description="After the change.")
    moved_s: float = Field(description="Longest wait of an event for its list, partitions that changed hands.")
    stayed_s: float = Field(description="The same for partitions that stayed; 0 if all moved.")
    before_s: float = Field(description="Longest wait in the seconds before the change.")


class Waits:
    """Publishes at a steady rate and measures how long each event waits for its list.

    Args:
        settings: Where to.
        per_s: Events per second.
    """

    def __init__(self, settings: Settings, per_s: float) -> None:
        self._settings = settings
        self._per_s = per_s
        self._sent_s: dict[str, float] = {}
        self._answered: dict[str, tuple[int, float]] = {}
        self._stop = threading.Event()
        self._failures: list[BaseException] = []

    @contextmanager
    def running(self) -> Iterator["Waits"]:
        """Send and read for the length of a block.

        Raises:
            TransientError: The broker did not take a record.
        """
        threads = [threading.Thread(target=self._watched, args=(work,)) for work in (self._send, self._read)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()
        if self._failures:
            raise TransientError(f"The load broke off ({self._failures[0]}).")

    def unanswered(self, until_s: float) -> int:
        """Return how many events sent before a time have no list yet."""
        return sum(sent_s < until_s and event_id not in self._answered for event_id, sent_s in _copy(self._sent_s))

    def longest(self, from_s: float, until_s: float) -> dict[int, float]:
        """Return by partition the longest wait of the events sent in a span of time that have their list."""
        longest: defaultdict[int, float] = defaultdict(float)
        for event_id, sent_s in _copy(self._sent_s):
            if from_s <= sent_s < until_s and event_id in self._answered:
                partition, at_s = self._answered[event_id]
                longest[partition] = max(longest[partition], at_s - sent_s)
        return dict(longest)

    def _watched(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self._failures.append(error)

    def _send(self) -> None:
        events = SyntheticStream(SyntheticOptions(users=2000, items=500, events=1_000_000)).events()
        burst, started_s, sent = Burst(self._settings.kafka_bootstrap), time.monotonic(), 0
        while not self._stop.wait(_TICK_S):
            due = int((time.monotonic() - started_s) * self._per_s) - sent
            part = list(islice(events, due))
            now_s = time.monotonic()
            self._sent_s |= {event.event_id: now_s for event in part}
            burst.send(self._settings.topics.events, [encode_event(e, self._settings.event_policy) for e in part])
            sent += len(part)

    def _read(self) -> None:
        with TopicReader(self._settings, self._settings.topics.recommendations, "latest") as reader:
            while not self._stop.is_set():
                for record in reader.poll(_TICK_S):
                    value = orjson.loads(record.value)
                    place = value["source_partition"], time.monotonic()
                    self._answered.setdefault(value["event_id"], place)


def _copy(times: Mapping[str, float]) -> list[tuple[str, float]]:
    return list(times.items())


class Group:
    """The workers of the group, and what changing them costs.

    Args:
        stack: Running servers.
        view: Reads the workers' heartbeats.
        waits: The load.
    """

    def __init__(self, stack: WorkerStack, view: StoreView, waits: Waits) -> None:
        self._stack = stack
        self._view = view
        self._waits = waits
        self._workers: dict[str, Child] = {}

    def change(self, what: str, act: Callable[[dict[str, Child]], None]) -> Pause:
        """Change the workers and wait until every event is answered again.

        Raises:
            TransientError: The group does not settle.
        """
        before, calm_s = self.owners(), time.monotonic()
        wait_until(lambda: time.monotonic() - calm_s > _CALM_S, "the load is steady", _DEADLINE_S, _TICK_S)
        started_s = time.monotonic()
        act(self._workers)
        pids = {child.pid for child in self._workers.values()}
        wait_until(
            lambda: set(self.owners().values()) == pids and len(self.owners()) == PARTITIONS,
            f"the group has settled after: {what}",
            _DEADLINE_S,
            _TICK_S,
        )
        ended_s = time.monotonic()
        wait_until(lambda: self._waits.unanswered(ended_s) == 0, "every event has its list", _DEADLINE_S, _TICK_S)
        after, longest = self.owners(), self._waits.longest(started_s, ended_s)
        moved = {partition for partition in after if before.get(partition) != after[partition]}
        return Pause(
            change=what,
            workers=len(pids),
            moved_s=max((wait for partition, wait in longest.items() if partition in moved), default=0.0),
            stayed_s=max((wait for partition, wait in longest.items() if partition not in moved), default=0.0),
            before_s=max(self._waits.longest(calm_s, started_s).values(), default=0.0),
        )

    def join(self, name: str) -> Callable[[dict[str, Child]], None]:
        """Return a function that adds a worker."""

        def act(workers: dict[str, Child]) -> None:
            workers[name] = self._stack.worker(name)

        return act

    def leave(self, name: str) -> Callable[[dict[str, Child]], None]:
        """Return a function that stops a worker cleanly."""
        return lambda workers: workers.pop(name).stop()

    def die(self, name: str) -> Callable[[dict[str, Child]], None]:
        """Return a function that kills a worker."""
        return lambda workers: workers.pop(name).kill()

    def die_and_return(self, name: str) -> Callable[[dict[str, Child]], None]:
        """Return a function that kills a worker and restarts it, as its supervisor would."""

        def act(workers: dict[str, Child]) -> None:
            workers[name].kill()
            workers[name] = self._stack.worker(name)

        return act

    def owners(self) -> dict[int, int]:
        """Return the process that holds each partition."""
        alive = {child.pid for child in self._workers.values()}
        beats = [beat for beat in self._view.heartbeats() if beat["role"] == "worker" and beat["pid"] in alive]
        return {partition: beat["pid"] for beat in beats for partition in beat["partitions"]}


def measure(home: Path, per_s: float) -> list[Pause]:
    """Change a group of workers in every way under a steady load.

    Args:
        home: Folder for servers and logs; emptied.
        per_s: Events per second.
    """
    with (
        WorkerStack(home, PARTITIONS) as stack,
        StoreView(stack.settings) as view,
        Waits(stack.settings, per_s).running() as waits,
    ):
        group = Group(stack, view, waits)
        group.change("the first starts", group.join("worker-1"))
        return [
            group.change("a second joins", group.join("worker-2")),
            group.change("a third joins", group.join("worker-3")),
            group.change("one ends (SIGTERM)", group.leave("worker-3")),
            group.change("one dies (-9) and is started again", group.die_and_return("worker-2")),
            group.change("one dies (-9) for good", group.die("worker-2")),
        ]


def main() -> None:
    """Print one line per change."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--per-s", type=float, default=100.0, help="events per second")
    parser.add_argument("--home", type=Path, default=Path(".millrace/bench-rebalance"))
    options = parser.parse_args()
    with ended_by_signals():
        for pause in measure(options.home, options.per_s):
            print(pause.model_dump_json())  # noqa: T201 - its purpose


if __name__ == "__main__":
    main()
