"""Events per second from a counter that only grows."""

import time
from collections import deque

WINDOW_S = 5.0


class Rate:
    """The rate of a counter over the last few seconds; ask for it about once a second."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def per_s(self, counter: int) -> float:
        """Return the rate since the oldest value that lies within the window, to one decimal."""
        now = time.monotonic()
        self._seen.append((now, counter))
        while len(self._seen) > 2 and now - self._seen[0][0] > WINDOW_S:
            self._seen.popleft()
        elapsed_s = now - self._seen[0][0]
        return round((counter - self._seen[0][1]) / elapsed_s, 1) if elapsed_s > 0 else 0.0
