"""A steady small load: valid events, some sent twice as a producer's retry would, some broken."""

import itertools
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from confluent_kafka import Producer

from millrace.kernel.contracts import ActivityEvent
from millrace.kernel.errors import TransientError
from millrace.kernel.settings import Settings
from millrace.load_tests.recovery.ledger import Ledger
from millrace.producers.records import encode_event, encode_item
from millrace.producers.synthetic import SyntheticOptions, SyntheticStream

# One of so many records is broken, and one of so many repeats an earlier event.
BROKEN_EVERY = 41
REPEATED_EVERY = 23
# A retry follows within so many events of the first attempt.
_RETRIED_WITHIN = 200
# Used in turn: invalid JSON, a missing field, a rating out of range, no value.
BROKEN_VALUES: tuple[bytes | None, ...] = (
    b'{"event_id": 3',
    b'{"event_id": "broken", "user_id": "u", "type": "rating", "value": 3.0, "ts_ms": 1}',
    b'{"event_id": "broken", "user_id": "u", "item_id": "i", "type": "rating", "value": 9.5, "ts_ms": 1}',
    None,
)
# Longer than any fault: a record without confirmation by then was not published.
_DELIVERY_TIMEOUT_MS = 240_000
_FLUSH_S = 120.0
# More than the longest run sends.
_EVENTS = 1_000_000
_USERS, _ITEMS = 1_500, 1_500
_TICK_S = 0.05


class SteadyLoad:
    """Publishes at a steady rate from its own thread; `pause` and `resume` control it.

    The producer is idempotent and asks for all replicas: a record is in the topic once, or it was not confirmed.

    Args:
        settings: Where to.
        ledger: Receives every confirmed record.
        per_s: Records per second.
        seed: Of the stream.
    """

    def __init__(self, settings: Settings, ledger: Ledger, per_s: float, seed: int) -> None:
        self._settings = settings
        self._ledger = ledger
        self._per_s = per_s
        self._stream = SyntheticStream(SyntheticOptions(_USERS, _ITEMS, _EVENTS, seed))
        self._records = self._mixed(self._stream.events(), random.Random(seed))
        self._producer = Producer(
            {
                "bootstrap.servers": settings.kafka_bootstrap,
                "enable.idempotence": True,
                "delivery.timeout.ms": _DELIVERY_TIMEOUT_MS,
                "linger.ms": 1,
                "partitioner": "murmur2_random",
                # Otherwise it logs every attempt to reach a broker that is down.
                "log_level": 2,
            }
        )
        self._refused: list[str] = []
        self._running = threading.Event()
        self._ended = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._thread = threading.Thread(target=self._run, name="recovery-load", daemon=True)
        self._thread.start()

    def publish_items(self) -> int:
        """Publish the catalogue and return how many items it has."""
        items = self._stream.items
        for item in items:
            key, value = encode_item(item, self._settings.event_policy)
            self._producer.produce(self._settings.topics.items, value, key=key, on_delivery=self._delivered(None, 0.0))
        self._flush()
        return len(items)

    def resume(self) -> None:
        """Start or continue publishing."""
        self._idle.clear()
        self._running.set()

    def pause(self) -> float:
        """Stop publishing and wait until everything sent is confirmed; returns the seconds that took.

        Raises:
            TransientError: Kafka has not confirmed everything.
        """
        paused_s = time.monotonic()
        self._running.clear()
        self._idle.wait()
        self._flush()
        return time.monotonic() - paused_s

    def close(self) -> None:
        """Stop the thread."""
        self._ended.set()
        self._running.set()
        self._thread.join()
        self._producer.purge()
        self._producer.poll(0)

    def _run(self) -> None:
        while not self._ended.is_set():
            self._running.wait()
            due_s = time.monotonic()
            while self._running.is_set() and not self._ended.is_set():
                self._send(*next(self._records))
                due_s = max(due_s + 1 / self._per_s, time.monotonic() - _TICK_S)
                self._producer.poll(max(0.0, due_s - time.monotonic()))
                time.sleep(max(0.0, due_s - time.monotonic()))
            self._idle.set()

    def _send(self, key: bytes, value: bytes | None, event: ActivityEvent | None) -> None:
        delivered = self._delivered(event, time.monotonic())
        self._producer.produce(self._settings.topics.events, value, key=key, on_delivery=delivered)

    def _delivered(self, event: ActivityEvent | None, sent_s: float) -> Callable[[Any, Any], None]:
        def callback(error: Any, message: Any) -> None:
            if error is not None:
                self._refused.append(str(error))
            elif message.topic() == self._settings.topics.events:
                self._ledger.confirmed((message.partition(), message.offset()), event, sent_s)

        return callback

    def _flush(self) -> None:
        left = self._producer.flush(_FLUSH_S)
        if left or self._refused:
            said = self._refused[0] if self._refused else "no answer"
            raise TransientError(f"Kafka did not confirm {left + len(self._refused)} records of the load ({said}).")

    def _mixed(
        self, events: Iterator[ActivityEvent], chance: random.Random
    ) -> Iterator[tuple[bytes, bytes | None, ActivityEvent | None]]:
        """Yield key, value and event of each record, None for the event of a broken one."""
        newest: deque[ActivityEvent] = deque(maxlen=_RETRIED_WITHIN)
        broken = itertools.cycle(BROKEN_VALUES)
        for number, event in enumerate(events, start=1):
            yield *encode_event(event, self._settings.event_policy), event
            newest.append(event)
            if number % REPEATED_EVERY == 0:
                again = chance.choice(newest)
                yield *encode_event(again, self._settings.event_policy), again
            if number % BROKEN_EVERY == 0:
                yield event.user_id.encode(), next(broken), None
