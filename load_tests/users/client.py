"""Locust's end of the exchange: for greenlets, free of Kafka."""

import sys
import time
from collections.abc import Callable
from typing import IO

import gevent
from gevent import subprocess
from gevent.event import AsyncResult, Event
from gevent.lock import BoundedSemaphore

from millrace.kernel.errors import FatalError
from millrace.load_tests.users.matching import Counts
from millrace.load_tests.users.messages import Kind, Reply, Send, decode_reply, encode

# Connecting, and with the embedded broker creating topics, takes a moment.
_READY_TIMEOUT_S = 60.0
_BROKEN = "the process that holds the Kafka connections has ended"


class Flight:
    """One event on its way.

    Args:
        sent_s: When the user acted, by the monotonic clock.
    """

    def __init__(self, sent_s: float) -> None:
        self.sent_s = sent_s
        self.confirmed: AsyncResult[Reply] = AsyncResult()
        self.answered: AsyncResult[Reply] = AsyncResult()

    def take(self, reply: Reply) -> None:
        """Take in what became of the event."""
        if reply.kind in {Kind.CONFIRMED, Kind.REFUSED}:
            self.confirmed.set(reply)
        if reply.kind in {Kind.ANSWERED, Kind.UNMATCHED, Kind.REFUSED}:
            self.answered.set(reply)

    @property
    def over(self) -> bool:
        """Whether both are known."""
        return bool(self.confirmed.ready() and self.answered.ready())


class ExchangeClient:
    """Starts the exchange process and talks to it.

    Args:
        deadline_s: An event without a list for so long is unmatched.
        on_broken: Called when the process ends before it was asked to.
    """

    def __init__(self, deadline_s: float, on_broken: Callable[[str], None]) -> None:
        self._on_broken = on_broken
        self._flights: dict[str, Flight] = {}
        self._sending = BoundedSemaphore()
        self._ready = Event()
        self._broken: str | None = None
        self._closing = False
        self.counts: Counts | None = None
        """What the process counted; there once it is closed."""
        self.latest_s = 0.0
        """How late this event loop has taken in a reply at most, in seconds: what greenlets cost each other."""
        # Of a session of its own: a Ctrl-C in the terminal is for Locust, which lets its users finish first.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "millrace.load_tests.users.exchange", str(deadline_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._reader = gevent.spawn(self._read, self._process.stdout)

    def wait_ready(self) -> None:
        """Wait until lists are being read.

        Raises:
            FatalError: It did not come to that.
        """
        if not self._ready.wait(_READY_TIMEOUT_S) or self._broken:
            self._process.kill()
            raise FatalError(self._broken or f"The Kafka connections were not there within {_READY_TIMEOUT_S:g} s.")

    def send(self, request: Send) -> Flight:
        """Publish an event; returns at once."""
        flight = Flight(request.sent_s)
        self._flights[request.event_id] = flight
        try:
            with self._sending:
                self._process.stdin.write(encode(request))
                self._process.stdin.flush()
        except OSError:
            self._break(_BROKEN)
        if self._broken:
            flight.take(Reply(Kind.REFUSED, request.event_id, time.monotonic(), self._broken))
        return flight

    def close(self) -> None:
        """Let what is open end, and the process with it."""
        self._closing = True
        try:
            with self._sending:
                self._process.stdin.close()
        except OSError:
            pass  # it has ended already, which was said
        self._reader.join()
        self._process.wait()

    def _read(self, stdout: IO[bytes]) -> None:
        for line in iter(stdout.readline, b""):
            reply = decode_reply(line)
            if reply.at_s:
                self.latest_s = max(self.latest_s, time.monotonic() - reply.at_s)
            self._take(reply)
        if not self._closing:
            self._break(_BROKEN)

    def _take(self, reply: Reply) -> None:
        match reply.kind:
            case Kind.READY:
                self._ready.set()
            case Kind.COUNTS:
                self.counts = reply.counts
            case Kind.BROKEN:
                self._break(reply.detail)
            case _:
                self._forward(reply)

    def _forward(self, reply: Reply) -> None:
        flight = self._flights.get(reply.event_id)
        if flight is None:
            return
        flight.take(reply)
        if flight.over:
            del self._flights[reply.event_id]

    def _break(self, why: str) -> None:
        if self._broken:
            return
        self._broken = why
        self._ready.set()
        for event_id, flight in self._flights.items():
            flight.take(Reply(Kind.REFUSED, event_id, time.monotonic(), why))
        self._flights.clear()
        self._on_broken(why)
