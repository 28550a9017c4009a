"""Waiting times between attempts."""

FIRST_S = 0.1
LONGEST_S = 5.0


class Backoff:
    """Doubles from 0.1 s to 5 s: soon enough after a hiccup, seldom enough during an outage."""

    def __init__(self) -> None:
        self._next_s = FIRST_S

    def next_s(self) -> float:
        """Return how long to wait now."""
        now_s, self._next_s = self._next_s, min(self._next_s * 2, LONGEST_S)
        return now_s
