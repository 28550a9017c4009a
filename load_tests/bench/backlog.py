"""Measures how a worker catches up with a backlog: `python -m millrace.load_tests.bench.backlog`.

It measures twice: as configured, where lists that nobody waits for are left out, and with a list for every event, on
fewer events. Kafka and Redis are real, and there is no model: with one, each list costs more and leaving lists out
saves more.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from millrace.apps.measuring.store_view import StoreView
from millrace.apps.stacks.child import Child
from millrace.apps.stacks.stack import Stack
from millrace.kernel.errors import TransientError
from millrace.kernel.settings import Settings
from millrace.load_tests.bench.burst import Burst
from millrace.load_tests.bench.worker_stack import WORKER, WorkerStack
from millrace.producers.records import encode_event
from millrace.producers.synthetic import SyntheticOptions, SyntheticStream
from millrace.runtime.interrupts import ended_by_signals

PARTITIONS = 4
# The default of the setting.
BACKLOG_EVENTS: int = Settings.model_fields["backlog_events"].default
_DEADLINE_S = 900.0
_POLL_S = 0.1
LEFT_OUT = "left_out:"


class CaughtUp(BaseModel):
    """How a backlog was worked off by one worker."""

    model_config = ConfigDict(frozen=True)

    events: int
    lists: int = Field(description="Lists made meanwhile.")
    left_out: dict[str, int] = Field(description="Events without a list of their own, by reason.")
    seconds: float = Field(description="From the first event handled to the last.")
    events_per_s: float
    since_sent_s: float = Field(description="From the last event sent to the last event handled, the start included.")
    cpu_ms_per_event: float = Field(description="Processor time of the worker, without its start.")
    most_memory_mib: float = Field(description="Most resident memory of the worker.")


def measure(stack: Stack, events: int, users: int) -> CaughtUp:
    """Let events pile up, then start a worker and wait until it has handled all.

    Args:
        stack: Not yet started, and empty.
        events: Number of events.
        users: Number of users the events belong to.

    Raises:
        MillraceError: A server does not start, or the worker does not finish.
    """
    with stack, StoreView(stack.settings) as view:
        settings = stack.settings
        Burst(settings.kafka_bootstrap).send(settings.topics.events, synthetic_records(settings, events, users))
        sent_s = time.monotonic()
        worker = stack.spawn("worker", WORKER)
        first_s, last_s, cpu_s, memory = _watch(view, settings, worker, events)
        counters = view.counters()
        if counters["events_applied"] != events:
            raise TransientError(f"Of {events} events {counters['events_applied']} were applied; see the worker's log.")
        seconds = last_s - first_s
        return CaughtUp(
            events=events,
            lists=counters.get("recommendations", 0),
            left_out={
                name.removeprefix(LEFT_OUT): count for name, count in counters.items() if name.startswith(LEFT_OUT)
            },
            seconds=round(seconds, 1),
            events_per_s=round(events / seconds, 1) if seconds else 0.0,
            since_sent_s=round(last_s - sent_s, 1),
            cpu_ms_per_event=round(1000 * cpu_s / events, 3),
            most_memory_mib=round(memory / 2**20, 1),
        )


def _watch(view: StoreView, settings: Settings, worker: Child, events: int) -> tuple[float, float, float, int]:
    """Return the times of the first and last handled event, the processor time used, and the peak memory in bytes."""
    first_s, started_cpu_s, memory, deadline_s = 0.0, 0.0, 0, time.monotonic() + _DEADLINE_S
    while (done := view.done("worker", settings.topics.events)) < events:
        if not worker.alive or time.monotonic() > deadline_s:
            raise TransientError(f"The worker handled {done} of {events} events; see {worker.log_path}.")
        if not done:
            started_cpu_s = worker.cpu_seconds()
        elif not first_s:
            first_s = time.monotonic()
        memory = max(memory, worker.rss_bytes())
        time.sleep(_POLL_S)
    return first_s or time.monotonic(), time.monotonic(), worker.cpu_seconds() - started_cpu_s, memory


def synthetic_records(settings: Settings, events: int, users: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield key and value of synthetic events."""
    stream = SyntheticStream(SyntheticOptions(users, 5_000, events))
    return (encode_event(event, settings.event_policy) for event in stream.events())


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--served-events", type=int, default=20_000, help="of the run with a list for every event")
    parser.add_argument("--home", type=Path, default=Path(".millrace/backlog"))
    options = parser.parse_args()
    with ended_by_signals():
        for events, backlog_events in ((options.events, BACKLOG_EVENTS), (options.served_events, 0)):
            stack = WorkerStack(options.home, PARTITIONS, {"backlog_events": backlog_events})
            caught_up = measure(stack, events, options.users)
            print(caught_up.model_dump_json(indent=1), flush=True)  # noqa: T201 - its output


if __name__ == "__main__":
    main()
