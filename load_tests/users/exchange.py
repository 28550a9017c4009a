"""Holds a load test's Kafka connections: `python -m millrace.load_tests.users.exchange DEADLINE_S`.

Locust runs its users as greenlets and replaces sockets, locks and threads with gevent's. kafka-python's sending and
reading would run, and wait, inside that one event loop, and the measured times would be the load generator's. So they
live here, on real threads: requests come in on stdin, replies go out on stdout (see messages.py). All users share
one subscriber, which hands out lists by event id.
"""

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from queue import SimpleQueue
from typing import Any

import orjson

from millrace.apps.cli.logs import log_to_stderr
from millrace.apps.cli.options import quiet_kafka
from millrace.kernel.errors import MillraceError
from millrace.kernel.settings import Settings, load_settings
from millrace.kernel.topic_reader import TopicReader
from millrace.load_tests.users.matching import Matcher, Verdict
from millrace.load_tests.users.messages import Kind, Reply, Send, decode_send, encode
from millrace.producers import ActivityPublisher
from millrace.producers.records import make_event

# A closed loop has reason to ask often; see `Replayer`.
_LEAST_FETCH_WAIT_MS = 10
_POLL_S = 0.05

Emit = Callable[[Reply], None]


class Exchange:
    """Publishes events and says what became of each; a context manager.

    Args:
        settings: Addresses.
        deadline_s: An event without a list for so long is unmatched.
        emit: Takes the replies; called from several threads.

    Raises:
        TransientError: No broker answers.
    """

    def __init__(self, settings: Settings, deadline_s: float, emit: Emit) -> None:
        self._emit = emit
        self._matcher = Matcher(deadline_s)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        wait_ms = max(settings.kafka_fetch_wait_ms, _LEAST_FETCH_WAIT_MS)
        # Before the first event is sent, so that no list is missed.
        self._reader = TopicReader(settings, settings.topics.recommendations, "latest", fetch_wait_ms=wait_ms)
        self._publisher = ActivityPublisher(settings)
        self._thread = threading.Thread(target=self._watch, name="lists", daemon=True)

    def __enter__(self) -> "Exchange":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._publisher.close()
        self._await_open()
        self._stop.set()
        self._thread.join()
        self._emit(Reply(Kind.COUNTS, counts=self._matcher.counts))

    def send(self, request: Send) -> None:
        """Publish one event; what became of it is said by replies."""
        with self._lock:
            self._matcher.expect(request.event_id, request.user_id, request.sent_s)
        try:
            event = make_event(
                request.user_id, request.item_id, request.value, type=request.type, event_id=request.event_id
            )
            self._publisher.publish_async(event, lambda error: self._delivered(request.event_id, error))
        except MillraceError as error:
            self._delivered(request.event_id, error)

    def _delivered(self, event_id: str, error: MillraceError | None) -> None:
        now_s = time.monotonic()
        if error is None:
            self._emit(Reply(Kind.CONFIRMED, event_id, now_s))
            return
        with self._lock:
            self._matcher.refused(event_id)
        self._emit(Reply(Kind.REFUSED, event_id, now_s, str(error)))

    def _watch(self) -> None:
        try:
            while not self._stop.is_set():
                for record in self._reader.poll(_POLL_S):
                    self._take(record, time.monotonic())
                self._expire(time.monotonic())
        except Exception as error:
            self._emit(Reply(Kind.BROKEN, detail=f"Reading the lists failed: {error or type(error).__name__}."))
            raise
        finally:
            self._reader.close()

    def _take(self, record: Any, now_s: float) -> None:
        fields = orjson.loads(record.value)
        event_id, fallback = fields["event_id"], fields["fallback"]
        with self._lock:
            verdict = self._matcher.answered(event_id, fields["user_id"], fallback is not None)
        if verdict is Verdict.ANSWER:
            items = tuple(item["item_id"] for item in fields["items"])
            self._emit(Reply(Kind.ANSWERED, event_id, now_s, "", items, len(record.value), fallback))
        elif verdict is Verdict.MISDIRECTED:
            self._emit(Reply(Kind.UNMATCHED, event_id, now_s, "its list was made for another user"))

    def _expire(self, now_s: float) -> None:
        with self._lock:
            given_up = self._matcher.expire(now_s)
        for event_id in given_up:
            self._emit(Reply(Kind.UNMATCHED, event_id, now_s, "no list came in time"))

    def _await_open(self) -> None:
        """Wait until every event has ended; the deadlines see to it that this does."""
        while self._thread.is_alive() and self._matcher.counts.open:
            time.sleep(_POLL_S)


def serve(lines: Iterable[bytes], write: Callable[[bytes], object], settings: Settings, deadline_s: float) -> None:
    """Carry out requests until they end, then wait for what is open and say the counts.

    Args:
        lines: Requests.
        write: Takes replies; called from one thread.
        settings: Addresses.
        deadline_s: An event without a list for so long is unmatched.

    Raises:
        TransientError: No broker answers.
    """
    outgoing: SimpleQueue[Reply | None] = SimpleQueue()
    # A reader that is slow to take replies must not hold up the threads that measure.
    writer = threading.Thread(target=_write_all, args=(outgoing, write), name="replies", daemon=True)
    writer.start()
    try:
        with Exchange(settings, deadline_s, outgoing.put) as exchange:
            outgoing.put(Reply(Kind.READY))
            for line in lines:
                exchange.send(decode_send(line))
    except MillraceError as error:
        outgoing.put(Reply(Kind.BROKEN, detail=str(error)))
        raise
    finally:
        outgoing.put(None)
        writer.join()


def _write_all(outgoing: "SimpleQueue[Reply | None]", write: Callable[[bytes], object]) -> None:
    while (reply := outgoing.get()) is not None:
        write(encode(reply))


def main() -> int:
    """Serve on stdin and stdout until Locust closes its end; a Ctrl-C in the terminal is Locust's to act on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log_to_stderr(logging.WARNING)
    quiet_kafka()

    def write(line: bytes) -> None:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()

    try:
        serve(sys.stdin.buffer, write, load_settings(), float(sys.argv[1]))
    except MillraceError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
