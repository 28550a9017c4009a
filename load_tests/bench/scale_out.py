"""How much faster two workers are than one, and what the limit was.

`python -m millrace.load_tests.bench.scale_out` starts Kafka and Redis, lets a keeper learn a history, and works off a
backlog with one worker, then with two, and so on. On a small machine workers, broker, Redis and bench share the cores,
so a further worker finds none free. Each worker is therefore limited to a share of a core (`--share`), as if it had its
own small machine. The CPU time of each process is printed beside the rates.
"""

import argparse
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import psutil
from pydantic import BaseModel, ConfigDict, Field

from millrace.apps.measuring.store_view import StoreView
from millrace.apps.stacks.child import Child
from millrace.kernel.topic_reader import connect_consumer
from millrace.load_tests.bench.burst import Burst
from millrace.load_tests.bench.cpu_share import cpu_seconds, held_to
from millrace.load_tests.bench.drain import measure_drain, topic_end
from millrace.load_tests.bench.worker_stack import WORKER, WorkerStack
from millrace.load_tests.waiting import wait_until
from millrace.producers.records import encode_event, encode_item
from millrace.producers.synthetic import SyntheticOptions, SyntheticStream
from millrace.runtime.interrupts import ended_by_signals

PARTITIONS = 8
_USERS, _ITEMS = 2_000, 2_000
_DEADLINE_S = 300.0
_READY_S = 300.0


class Rate(BaseModel):
    """A backlog worked off by a number of workers."""

    model_config = ConfigDict(frozen=True)

    workers: int
    share: float = Field(description="Of a core that each worker might use.")
    events: int
    events_per_s: float
    ratio: float = Field(description="To the rate of one worker.")
    cores_used: dict[str, float] = Field(description="By process, while the backlog was worked off.")
    machine_busy: float = Field(description="0 to 1, of all cores, whoever used them.")
    limit: str


class ScaleOut:
    """One measurement on running servers.

    Args:
        stack: Running Kafka and Redis.
        share: Of a core that each worker may use.
    """

    def __init__(self, stack: WorkerStack, share: float) -> None:
        self._stack = stack
        self._settings = stack.settings
        self._share = share
        self._stream = SyntheticStream(SyntheticOptions(_USERS, _ITEMS, 10_000_000))
        self._events = self._stream.events()
        self._workers: dict[str, Child] = {}

    def learn_history(self, view: StoreView, events: int) -> None:
        """Let workers and keeper learn a history, so that lists are made from statistics; the keeper then stops.

        Raises:
            TransientError: They do not finish in time.
        """
        self._add_worker(view)
        keeper = self._stack.spawn("statistics", [*WORKER[:-1], "statistics"])
        policy = self._settings.event_policy
        items = [encode_item(item, policy) for item in self._stream.items]
        Burst(self._settings.kafka_bootstrap).send(self._settings.topics.items, items)
        self._send(events)
        topic = self._settings.topics.events
        for role in ("worker", "statistics"):
            wait_until(partial(_has_done, view, role, topic, events), f"the {role} has learned the history", _READY_S)
        keeper.stop()

    def measure(self, view: StoreView, workers: int, events: int) -> Rate:
        """Work off a backlog with this many workers.

        Raises:
            TransientError: The workers are not ready or not finished in time.
        """
        while len(self._workers) < workers:
            self._add_worker(view)
        processes = {**{child.name: child.pid for child in self._stack.children if child.alive}, "bench": os.getpid()}
        with (
            closing(connect_consumer(self._settings)) as consumer,
            held_to(self._share, [child.pid for child in self._workers.values()]),
        ):
            before, started_s = {name: cpu_seconds(pid) for name, pid in processes.items()}, time.monotonic()
            psutil.cpu_percent()
            rates = measure_drain(
                {"workers": lambda: topic_end(consumer, self._settings.topics.recommendations)},
                events,
                _DEADLINE_S,
                lambda fraction: None,
                lambda: self._send(events),
            )
            busy, seconds = psutil.cpu_percent() / 100, time.monotonic() - started_s
        used = {name: round((cpu_seconds(pid) - before[name]) / seconds, 3) for name, pid in processes.items()}
        return Rate(
            workers=workers,
            share=self._share,
            events=events,
            events_per_s=round(rates["workers"].per_s, 1),
            ratio=1.0,
            cores_used=used,
            machine_busy=busy,
            limit=limit_of(used, self._share, busy),
        )

    def _add_worker(self, view: StoreView) -> None:
        name = f"worker-{len(self._workers) + 1}"
        self._workers[name] = self._stack.worker(name)
        pids = {child.pid for child in self._workers.values()}
        wait_until(lambda: _owners(view.heartbeats()) == pids, f"{len(pids)} workers share the partitions", _READY_S)

    def _send(self, count: int) -> None:
        records = [encode_event(event, self._settings.event_policy) for event in islice(self._events, count)]
        Burst(self._settings.kafka_bootstrap).send(self._settings.topics.events, records)


def limit_of(used: Mapping[str, float], share: float, busy: float) -> str:
    """Return a sentence that names what limited the rate."""
    workers = {name: cores for name, cores in used.items() if name.startswith("worker-")}
    others = {name: cores for name, cores in used.items() if name not in workers}
    if all(cores > 0.85 * share for cores in workers.values()):
        return f"the workers: each used its whole share ({share:g} of a core)"
    if busy > 0.9:
        return f"the machine: its cores were {busy:.0%} busy"
    name, cores = max(others.items(), key=lambda item: item[1])
    return f"not the processor: the busiest beside the workers was {name} with {cores:.2f} cores"


def _owners(beats: Sequence[Mapping[str, Any]]) -> set[int]:
    """Return the processes that hold partitions, if all partitions are held; otherwise nothing."""
    workers = [beat for beat in beats if beat["role"] == "worker" and beat["partitions"]]
    held = sorted(partition for beat in workers for partition in beat["partitions"])
    return {beat["pid"] for beat in workers} if held == list(range(PARTITIONS)) else set()


def _has_done(view: StoreView, role: str, topic: str, events: int) -> bool:
    return view.done(role, topic) >= events


def measure(home: Path, workers: Sequence[int], share: float, events: int, history: int) -> list[Rate]:
    """Measure each number of workers in turn.

    Args:
        home: Folder for servers and logs; emptied.
        workers: How many, growing.
        share: Of a core that each may use.
        events: Backlog per measurement and worker.
        history: Events that the keeper has learned before.
    """
    with WorkerStack(home, PARTITIONS) as stack, StoreView(stack.settings) as view:
        bench = ScaleOut(stack, share)
        bench.learn_history(view, history)
        rates = [bench.measure(view, count, events * count) for count in workers]
    return [rate.model_copy(update={"ratio": round(rate.events_per_s / rates[0].events_per_s, 2)}) for rate in rates]


def main() -> None:
    """Print one line per number of workers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="numbers of workers to measure")
    parser.add_argument("--share", type=float, default=0.25, help="of a core that each worker may use; 1 for all")
    parser.add_argument("--events", type=int, default=3_000, help="backlog per worker")
    parser.add_argument("--history", type=int, default=5_000, help="events that the keeper has learned before")
    parser.add_argument("--home", type=Path, default=Path(".millrace/bench-scale-out"))
    options = parser.parse_args()
    with ended_by_signals():
        for rate in measure(options.home, options.workers, options.share, options.events, options.history):
            print(rate.model_dump_json())  # noqa: T201 - its purpose


if __name__ == "__main__":
    main()
