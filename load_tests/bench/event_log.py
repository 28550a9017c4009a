"""How fast one writer fills the event log, and how fast it is read back.

`python -m millrace.load_tests.bench.event_log` measures the log that MILLRACE_EVENT_LOG names: beside an SQLite
log a file of its own, which is removed; in Cassandra a log of another name in the same tables, whose rows stay.
"""

import argparse
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

from millrace.kernel.settings import Settings, load_settings
from millrace.load_tests.bench.report import EventLogThroughput
from millrace.producers.synthetic import SyntheticOptions, SyntheticStream
from millrace.stores.event_log import LoggedEvent, open_event_log

EVENTS = 20_000
# Before the clock starts: connections, prepared statements and, on a JVM, compiled code.
_WARM_UP_EVENTS = 5_000
# What the log writer hands over at most.
_BATCH = 5_000
_PARTITIONS = 4


def measure_event_log(settings: Settings, events: int = EVENTS) -> EventLogThroughput:
    """Write synthetic events as the log writer does, one batch after another, then read them all.

    Args:
        settings: Names the log; its events are not touched.
        events: How many are measured.

    Raises:
        MillraceError: The log cannot be used.
    """
    adapter = urlsplit(settings.event_log_url).scheme
    with _of_its_own(settings) as own, closing(open_event_log(own)) as log:
        logged = _logged(_WARM_UP_EVENTS + events)
        log.append(logged[:_WARM_UP_EVENTS])
        started_s = time.monotonic()
        for start in range(_WARM_UP_EVENTS, len(logged), _BATCH):
            log.append(logged[start : start + _BATCH])
        written_s = time.monotonic() - started_s
        started_s = time.monotonic()
        read = sum(len(page) for page in log.read({}))
        read_s = time.monotonic() - started_s
    return EventLogThroughput(
        adapter=adapter, events=events, written_per_s=events / written_s, read_per_s=read / read_s
    )


@contextmanager
def _of_its_own(settings: Settings) -> Iterator[Settings]:
    """Yield the settings of a log that nothing else uses."""
    changes = {"topic_prefix": f"bench-{uuid.uuid4().hex[:10]}."}
    if urlsplit(settings.event_log_url).scheme != "sqlite":
        yield settings.model_copy(update=changes)
        return
    settings.home.mkdir(parents=True, exist_ok=True)
    # On the same disk as the log itself.
    with tempfile.TemporaryDirectory(dir=settings.home, prefix="bench-") as folder:
        changes["event_log"] = f"sqlite:///{Path(folder).absolute() / 'events.sqlite'}"
        yield settings.model_copy(update=changes)


def _logged(count: int) -> Sequence[LoggedEvent]:
    stream = SyntheticStream(SyntheticOptions(events=count)).events()
    return [
        LoggedEvent(number % _PARTITIONS, number // _PARTITIONS, event.ts_ms, event)
        for number, event in enumerate(islice(stream, count))
    ]


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=EVENTS)
    options = parser.parse_args()
    print(measure_event_log(load_settings(), options.events).model_dump_json(indent=2))  # noqa: T201 - its purpose


if __name__ == "__main__":
    main()
