"""How fast a role works off a backlog: the rate between the first tenth and the end."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kafka import KafkaConsumer, TopicPartition

from millrace.kernel.errors import TransientError

# The first tenth is left out: it holds connection set-up, first fetches and cold caches.
WARM_SHARE = 0.1
# Polling takes processor time from the pipeline; 50 ms is precise enough for drains of seconds.
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class DrainRate:
    """Progress of one counter over a backlog.

    Args:
        events: Records counted after the warm share.
        seconds: Time they took.
    """

    events: int
    seconds: float

    @property
    def per_s(self) -> float:
        """Events per second."""
        return self.events / self.seconds if self.seconds > 0 else 0.0


def topic_end(consumer: KafkaConsumer, topic: str) -> int:
    """Return the number of records ever written to a topic (sum of its end offsets)."""
    partitions = consumer.partitions_for_topic(topic) or set()
    ends = consumer.end_offsets([TopicPartition(topic, partition) for partition in partitions])
    return sum(ends.values())


def measure_drain(
    counters: dict[str, Callable[[], int]],
    total: int,
    timeout_s: float,
    on_progress: Callable[[float], None],
    start: Callable[[], None] = lambda: None,
) -> dict[str, DrainRate]:
    """Watch several counters grow by `total` from now on; each stops its own clock.

    Args:
        counters: Name -> function returning a count that only grows.
        total: How far each has to come.
        timeout_s: Deadline for all of them.
        on_progress: Called with the slowest counter's fraction.
        start: Called once the counters have been read for the first time: sends the load.

    Raises:
        TransientError: The deadline passed; names the counter that was behind and how far it came.
    """
    watches = {name: _Watch(name, count, total) for name, count in counters.items()}
    start()
    deadline_s = time.monotonic() + timeout_s
    while not all([watch.update() for watch in watches.values()]):  # a list: every watch has to look each time
        if time.monotonic() > deadline_s:
            raise TransientError(_behind(list(watches.values()), timeout_s))
        on_progress(min(watch.fraction for watch in watches.values()))
        time.sleep(_POLL_S)
    return {name: watch.rate() for name, watch in watches.items()}


class _Watch:
    def __init__(self, name: str, count: Callable[[], int], total: int) -> None:
        self.name = name
        self._count = count
        self._total = total
        self._base = count()
        self._warm: tuple[float, int] | None = None
        self._end: tuple[float, int] | None = None
        self.fraction = 0.0

    def update(self) -> bool:
        """Read the counter; returns whether it has reached the total."""
        if self._end is not None:
            return True
        done, now_s = self._count() - self._base, time.monotonic()
        self.fraction = min(1.0, done / self._total)
        if self._warm is None and self.fraction >= WARM_SHARE:
            self._warm = (now_s, done)
        if done >= self._total:
            self._end = (now_s, done)
        return self._end is not None

    def rate(self) -> DrainRate:
        """Return the rate after the warm share."""
        if self._warm is None or self._end is None:
            return DrainRate(0, 0.0)
        return DrainRate(self._end[1] - self._warm[1], self._end[0] - self._warm[0])


def _behind(watches: Sequence[_Watch], timeout_s: float) -> str:
    slowest = min(watches, key=lambda watch: watch.fraction)
    return (
        f"{slowest.name} came to {slowest.fraction:.0%} of the backlog in {timeout_s:.0f} s; "
        "look into its log, or give fewer events with --events."
    )
