"""Turns the signals that ask a stack to end into one exception, so that every `with` block is left in order."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# Ctrl-C, an orderly stop by a service manager, and a terminal that was closed.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Raise KeyboardInterrupt in the block on SIGINT, SIGTERM and SIGHUP; does nothing outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # SIGINT as well: a shell starts background jobs with it ignored.
    before = {number: signal.signal(number, signal.default_int_handler) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
