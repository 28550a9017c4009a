"""Events per second from a counter that only grows."""

import time
from collections import deque

WINDOW_S = 5.0


class Rate:
    """The rate of a counter over the last few seconds; call it about once a second."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def per_s(self, counter: int) -> float:
        """Return the rate since the oldest value that is not older than the window."""
        now = time.monotonic()
        self._seen.append((now, counter))
        while len(self._seen) > 2 and now - self._seen[0][0] > WINDOW_S:
            self._seen.popleft()
        elapsed = now - self._seen[0][0]
        return (counter - self._seen[0][1]) / elapsed if elapsed > 0 else 0.0
