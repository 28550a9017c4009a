"""Crash points for the recovery tests: a role kills itself right before a named point.

Nothing happens unless `MILLRACE_CRASH_AT` is set. Then the role sends itself SIGKILL the n-th time it reaches that
point, which ends it as a power cut would.
"""

import os
import signal
from collections.abc import Callable

VARIABLE = "MILLRACE_CRASH_AT"

# Called with the name of the point that has been reached.
CrashPoint = Callable[[str], None]


def never(_: str) -> None:
    """Do nothing: what every role outside the recovery tests uses."""


def from_environment() -> CrashPoint:
    """Return the crash point that `MILLRACE_CRASH_AT=point:n` asks for, or `never`."""
    wanted = os.environ.get(VARIABLE)
    return _Killer(wanted) if wanted else never


class _Killer:
    def __init__(self, wanted: str) -> None:
        self._point, _, times = wanted.partition(":")
        self._left = int(times or 1)

    def __call__(self, point: str) -> None:
        if point != self._point:
            return
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
