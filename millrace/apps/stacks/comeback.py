"""When something that ended may be started again: soon at first, later and later while it keeps ending."""

import time
from collections.abc import Callable

FIRST_WAIT_S = 1.0
# A full disk takes a person minutes to clear.
LONGEST_WAIT_S = 30.0


class Comeback:
    """The waits before one process's starts.

    Args:
        now: Clock in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._wait_s = FIRST_WAIT_S
        self._started_s = float("-inf")

    def due(self) -> bool:
        """Return whether it is time, and if so take note of it."""
        lasted_s = self._now() - self._started_s
        if lasted_s < self._wait_s:
            return False
        forgiven = lasted_s > 2 * LONGEST_WAIT_S
        self._wait_s = FIRST_WAIT_S if forgiven else min(2 * self._wait_s, LONGEST_WAIT_S)
        self._started_s = self._now()
        return True
