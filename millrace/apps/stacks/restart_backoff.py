"""When a process that ended may be started again: soon at first, less and less often while it keeps ending."""

import time
from collections.abc import Callable

FIRST_WAIT_S = 1.0
# A person needs minutes to clear a full disk.
LONGEST_WAIT_S = 30.0


class RestartBackoff:
    """Exponential back-off between the starts of one process.

    Args:
        now: Clock in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._wait_s = FIRST_WAIT_S
        self._started_s = float("-inf")

    def due(self) -> bool:
        """Return whether the process may be started now; if so, the next wait counts from this call."""
        lasted_s = self._now() - self._started_s
        if lasted_s < self._wait_s:
            return False
        recovered = lasted_s > 2 * LONGEST_WAIT_S
        self._wait_s = FIRST_WAIT_S if recovered else min(2 * self._wait_s, LONGEST_WAIT_S)
        self._started_s = self._now()
        return True
