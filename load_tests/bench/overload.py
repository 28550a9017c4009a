"""Ten times a worker's capacity, for a minute: `python -m millrace.load_tests.bench.overload`.

First it measures one worker's capacity with a list for every event. Then it sends an idle worker events at a multiple
of that rate and waits until all are handled. It reports memory, how many events got their own list, why the others did
not, and the time to catch up. Kafka and Redis are real, and there is no model: with one, capacity and load are lower.
"""

import argparse
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from millrace.apps.measuring.store_view import StoreView
from millrace.apps.stacks.child import Child
from millrace.kernel.errors import TransientError
from millrace.kernel.settings import Settings
from millrace.load_tests.bench.backlog import BACKLOG_EVENTS, LEFT_OUT, PARTITIONS, measure, synthetic_records
from millrace.load_tests.bench.burst import Burst
from millrace.load_tests.bench.worker_stack import WORKER, WorkerStack
from millrace.runtime.interrupts import ended_by_signals

Record = tuple[bytes, bytes]

_DEADLINE_S = 1800.0
_POLL_S = 0.1
_PACE_EVERY = 100
# Enough for the worker to have allocated everything that it allocates once.
_WARM_UP = 2_000


class Overloaded(BaseModel):
    """What a burst over capacity did to a worker."""

    model_config = ConfigDict(frozen=True)

    capacity_per_s: float = Field(description="Events one worker handles in a second, each with its list.")
    sent_per_s: float
    burst_s: float
    events: int = Field(description="Sent in the burst; each is applied to the state, or this is an error.")
    lists: int = Field(description="Lists made for them.")
    left_out: dict[str, int] = Field(description="Events without a list of their own, by reason.")
    most_waiting: int = Field(description="Most events that waited in Kafka.")
    caught_up_after_s: float = Field(description="From the last event sent to the last event handled.")
    memory_before_mib: float = Field(description="Resident memory of the worker before the burst.")
    most_memory_mib: float


@dataclass(slots=True)
class _Watched:
    """Observations of a worker: peak memory in bytes, most waiting events, and when it finished."""

    most_memory: int
    most_waiting: int = 0
    ended_s: float = 0.0


class _Sending(threading.Thread):
    """Sends records at a steady rate in the background."""

    def __init__(self, settings: Settings, records: Sequence[Record], per_s: float) -> None:
        super().__init__(name="overload", daemon=True)
        self.sent = 0
        self.failure: Exception | None = None
        self.ended_s = 0.0
        self._settings = settings
        self._records = records
        self._per_s = per_s

    def run(self) -> None:
        """Send all."""
        try:
            burst = Burst(self._settings.kafka_bootstrap)
            burst.send(self._settings.topics.events, self._counted(paced(self._records, self._per_s)))
        except Exception as error:
            self.failure = error
        self.ended_s = time.monotonic()

    def _counted(self, records: Iterable[Record]) -> Iterator[Record]:
        for record in records:
            yield record
            self.sent += 1


def paced(records: Iterable[Record], per_s: float) -> Iterator[Record]:
    """Yield records in small groups at a steady rate; a late group is sent all the same."""
    started_s = time.monotonic()
    for number, record in enumerate(records):
        if number % _PACE_EVERY == 0:
            time.sleep(max(0.0, started_s + number / per_s - time.monotonic()))
        yield record


def overload(home: Path, times: float, seconds: float, capacity_events: int, users: int) -> Overloaded:
    """Measure a worker's capacity, then send `times` as much for `seconds`.

    Args:
        home: Folder for logs and data; emptied.
        times: Multiple of the capacity.
        seconds: Length of the burst.
        capacity_events: Events that the capacity is measured with.
        users: Number of users the events belong to.

    Raises:
        MillraceError: A server does not start, the worker ends, or an event was not applied.
    """
    capacity = measure(WorkerStack(home, PARTITIONS, {"backlog_events": 0}), capacity_events, users).events_per_s
    stack = WorkerStack(home, PARTITIONS, {"backlog_events": BACKLOG_EVENTS})
    events = round(times * capacity * seconds)
    with stack, StoreView(stack.settings) as view:
        records = list(synthetic_records(stack.settings, _WARM_UP + events, users))
        Burst(stack.settings.kafka_bootstrap).send(stack.settings.topics.events, records[:_WARM_UP])
        worker = stack.spawn("worker", WORKER)
        _watch(view, stack.settings, worker, _WARM_UP, None)
        before, memory = view.counters(), worker.rss_bytes()
        sending = _Sending(stack.settings, records[_WARM_UP:], times * capacity)
        started_s = time.monotonic()
        sending.start()
        watched = _watch(view, stack.settings, worker, len(records), sending)
        counters = {name: count - before.get(name, 0) for name, count in view.counters().items()}
        if counters["events_applied"] != events:
            raise TransientError(f"Of {events} events {counters['events_applied']} were applied; see the worker's log.")
        return Overloaded(
            capacity_per_s=capacity,
            sent_per_s=round(events / (sending.ended_s - started_s), 1),
            burst_s=round(sending.ended_s - started_s, 1),
            events=events,
            lists=counters.get("recommendations", 0),
            left_out={
                name.removeprefix(LEFT_OUT): count for name, count in counters.items() if name.startswith(LEFT_OUT)
            },
            most_waiting=watched.most_waiting,
            caught_up_after_s=round(watched.ended_s - sending.ended_s, 1),
            memory_before_mib=round(memory / 2**20, 1),
            most_memory_mib=round(watched.most_memory / 2**20, 1),
        )


def _watch(view: StoreView, settings: Settings, worker: Child, events: int, sending: _Sending | None) -> _Watched:
    """Follow a worker until it has handled so many events."""
    watched, deadline_s = _Watched(worker.rss_bytes()), time.monotonic() + _DEADLINE_S
    while (done := view.done("worker", settings.topics.events)) < events:
        if sending is not None and sending.failure is not None:
            raise sending.failure
        if not worker.alive or time.monotonic() > deadline_s:
            raise TransientError(f"The worker handled {done} of {events} events; see {worker.log_path}.")
        watched.most_memory = max(watched.most_memory, worker.rss_bytes())
        if sending is not None:
            watched.most_waiting = max(watched.most_waiting, _WARM_UP + sending.sent - done)
        time.sleep(_POLL_S)
    watched.ended_s = time.monotonic()
    return watched


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=float, default=10.0, help="multiple of the capacity")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--capacity-events", type=int, default=20_000)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--home", type=Path, default=Path(".millrace/overload"))
    options = parser.parse_args()
    with ended_by_signals():
        found = overload(options.home, options.times, options.seconds, options.capacity_events, options.users)
        print(found.model_dump_json(indent=1), flush=True)  # noqa: T201 - its output


if __name__ == "__main__":
    main()
