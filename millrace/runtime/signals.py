"""Stopping a long-running process on SIGTERM and SIGINT.

After SIGTERM it may take the time that it needs; whoever started it has a deadline of its own. After Ctrl-C it is ended
by force if it is still there a few seconds later, which costs no more than a crash does.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from millrace.runtime.interrupts import force_end_later

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def on_termination(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` on SIGTERM and SIGINT inside the block; for the main thread of a process without an event loop."""

    def handle(number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT:
            force_end_later()
        stop()

    previous = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def stop_on_signals() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set; for a process with an event loop."""
    stop = asyncio.Event()
    call_on_signals(stop.set)
    return stop


def call_on_signals(stop: Callable[[], None]) -> None:
    """Call `stop` on SIGTERM and SIGINT, in the running event loop."""

    def stop_now() -> None:
        force_end_later()
        stop()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop)
    loop.add_signal_handler(signal.SIGINT, stop_now)


async def unless_stopped(stop: asyncio.Event, work: Awaitable[object]) -> None:
    """Await the work, or cancel it when the stop event is set first."""
    task, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    finally:
        for each in (task, stopping):
            each.cancel()
        await asyncio.gather(task, stopping, return_exceptions=True)
