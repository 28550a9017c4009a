"""Ctrl-C: ends a command in order, and by force where that takes longer than a person waits.

The default of Python does not do: within `asyncio.run`, Ctrl-C only cancels the main task. The cancellation waits for
the next `await`, and a timeout that expires at the same moment takes it for its own, so that the command goes on. Here
Ctrl-C raises KeyboardInterrupt wherever the main thread is; `asyncio.run` leaves a handler alone that is not Python's.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

# Ctrl-C, an orderly stop by a service manager, and a terminal that was closed.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
EXIT_INTERRUPTED = 128 + signal.SIGINT  # as shells report it
# A command is to be gone within 5 s after Ctrl-C; the rest is for what the forced end has to do.
FORCE_AFTER_S = 4.0
# Shows the cursor and leaves the alternate screen.
_RESTORE_TERMINAL = b"\x1b[?25h\x1b[?1049l"

_interrupted = threading.Event()
_forced = threading.Lock()
_last_resorts: list[Callable[[], object]] = []
# How many blocks of the main thread must not be left in the middle.
_shielded = 0


def end_at_once() -> None:
    """Let Ctrl-C end this process without a word: for the time in which it has only begun to import modules."""
    if _in_main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def ended_by_ctrl_c() -> Iterator[None]:
    """Raise KeyboardInterrupt in the block on Ctrl-C, and end this process by force if it is still there after 4 s.

    Does nothing outside the main thread, nor where Ctrl-C is ignored, as in a shell's background jobs.
    """
    if not _in_main_thread() or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield
        return
    before = signal.signal(signal.SIGINT, _on_ctrl_c)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Raise KeyboardInterrupt in the block on SIGINT, SIGTERM and SIGHUP; does nothing outside the main thread."""
    if not _in_main_thread():
        yield
        return
    # SIGINT even where it was ignored: a shell starts background jobs so, and these are to end what they have started.
    before = {number: signal.getsignal(number) for number in ENDING}
    for number, handler in before.items():
        if handler is not _on_ctrl_c:
            signal.signal(number, _on_signal)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def shielded() -> Iterator[None]:
    """Put off KeyboardInterrupt in a block that is to be left at its end alone; the forced end still comes."""
    global _shielded
    if not _in_main_thread():
        yield
        return
    _shielded += 1
    try:
        yield
    finally:
        _shielded -= 1


def interrupted() -> bool:
    """Return whether Ctrl-C has been pressed."""
    return _interrupted.is_set()


def on_forced_end(last_resort: Callable[[], object]) -> None:
    """Have a function called, from another thread, before this process is ended by force."""
    _last_resorts.append(last_resort)


def forget(last_resort: Callable[[], object]) -> None:
    """Take back what `on_forced_end` was given."""
    with suppress(ValueError):
        _last_resorts.remove(last_resort)


def force_end_later() -> None:
    """End this process by force in 4 s, unless it has ended by then: for a handler of Ctrl-C."""
    if not _interrupted.is_set():
        _interrupted.set()
        timer = threading.Timer(FORCE_AFTER_S, _end_by_force)
        timer.daemon = True
        timer.start()


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _on_ctrl_c(number: int, frame: FrameType | None) -> None:
    force_end_later()
    _on_signal(number, frame)


def _on_signal(_: int, __: FrameType | None) -> None:
    if not _shielded:
        raise KeyboardInterrupt


def _end_by_force() -> None:
    with _forced:
        for last_resort in reversed(_last_resorts.copy()):
            # Whatever it cannot do any more: the next one has its turn, and the end comes.
            with suppress(Exception):
                last_resort()
        if sys.stdout is not None and sys.stdout.isatty():
            os.write(sys.stdout.fileno(), _RESTORE_TERMINAL)
        os._exit(EXIT_INTERRUPTED)
