"""How fast Redis is rebuilt from the event log, and compared with it.

`python -m millrace.load_tests.bench.rebuild` fills a log in a file with synthetic events and starts a Redis of its own.
Seconds of the processor are printed beside those on the clock: on a busy machine only the former tell anything.
"""

import asyncio
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from millrace.apps.stacks.redis_server import RedisServer
from millrace.apps.stacks.service import wait_ready
from millrace.kernel.settings import Settings
from millrace.producers.synthetic import SyntheticOptions, SyntheticStream
from millrace.stores.event_log import EventLog, LoggedEvent, open_event_log
from millrace.stores.redis.stores import open_stores
from millrace.streams.ranking.warm_up import warm_up_learning
from millrace.streams.rebuild import rebuild
from millrace.streams.verify import verify

_PARTITIONS = 4
_EVENTS_PER_WRITE = 20_000
_FIRST_ARRIVAL_MS = 1_700_000_000_000
_READY_S = 10.0


def main(
    events: Annotated[int, typer.Option(min=1, help="Events in the log.")] = 200_000,
    users: Annotated[int, typer.Option(min=1)] = 20_000,
    items: Annotated[int, typer.Option(min=1)] = 10_000,
) -> None:
    """Print how many events a second are rebuilt and verified."""
    with tempfile.TemporaryDirectory() as folder, _redis(Path(folder)) as settings:
        warm_up_learning(settings.neighbours_per_item)
        with closing(open_event_log(settings)) as log:
            _fill(log, SyntheticStream(SyntheticOptions(users=users, items=items, events=events)))
            asyncio.run(_measure(log, settings))


@contextmanager
def _redis(folder: Path) -> Iterator[Settings]:
    server = RedisServer(folder, folder)
    try:
        server.start()
        wait_ready([server], timeout_s=_READY_S)
        yield Settings(home=folder, redis_url=server.settings()["redis_url"])
    finally:
        server.stop()


def _fill(log: EventLog, stream: SyntheticStream) -> None:
    log.upsert_items(list(stream.items))
    offsets: Counter[int] = Counter()

    def logged() -> Iterator[LoggedEvent]:
        for number, event in enumerate(stream.events()):
            partition = zlib.crc32(event.user_id.encode()) % _PARTITIONS
            yield LoggedEvent(partition, offsets[partition], _FIRST_ARRIVAL_MS + number, event)
            offsets[partition] += 1

    events = logged()
    while batch := list(islice(events, _EVENTS_PER_WRITE)):
        log.append(batch)


async def _measure(log: EventLog, settings: Settings) -> None:
    async with open_stores(settings) as stores:
        started = time.perf_counter(), time.process_time()
        report = await rebuild(log, stores.redis, settings)
        _say("rebuilt", report.events, started)
        started = time.perf_counter(), time.process_time()
        found = await verify(log, stores, settings)
        _say("verified", found.events, started)
        typer.echo(f"{len(found.differences)} differences, {report.users} users, {report.items} items")


def _say(what: str, events: int, started: tuple[float, float]) -> None:
    clock_s, processor_s = time.perf_counter() - started[0], time.process_time() - started[1]
    typer.echo(
        f"{what} {events} events: {events / clock_s:.0f} events/s ({clock_s:.1f} s), "
        f"{events / processor_s:.0f} for each second of the processor ({processor_s:.1f} s)"
    )


if __name__ == "__main__":
    typer.run(main)
