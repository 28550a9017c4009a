"""Limits processes to a share of a core, and measures their processor time."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_TICK_S = 0.005
# Most unused time that counts later: a few ticks of the kernel's accounting, which counts hundredths of a second.
_MOST_SAVED_S = 0.03
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used, 0 after its end."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    # user and system time: the 14th and 15th of all fields, of which two stand before the bracket.
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


@contextmanager
def held_to(share: float, pids: Sequence[int]) -> Iterator[None]:
    """Limit each process to a share of one core within the block, by stopping and continuing it.

    Args:
        share: 0 to 1; 1 sets no limit.
        pids: The processes.
    """
    if share >= 1.0:
        yield
        return
    ended = threading.Event()
    threads = [threading.Thread(target=_hold, args=(pid, share, ended)) for pid in pids]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _hold(pid: int, share: float, ended: threading.Event) -> None:
    used_s, saved_s, looked_s = cpu_seconds(pid), 0.0, time.monotonic()
    with contextlib.suppress(ProcessLookupError):
        while not ended.wait(_TICK_S):
            before_s, since_s = used_s, looked_s
            used_s, looked_s = cpu_seconds(pid), time.monotonic()
            saved_s = min(saved_s + share * (looked_s - since_s) - (used_s - before_s), _MOST_SAVED_S)
            os.kill(pid, signal.SIGSTOP if saved_s < 0 else signal.SIGCONT)
        os.kill(pid, signal.SIGCONT)
