"""Waiting times between attempts."""

FIRST_S = 0.1
LONGEST_S = 5.0


class Backoff:
    """Doubles from 0.1 s to the longest pause: soon enough after a hiccup, seldom enough during an outage.

    Args:
        longest_s: Longest pause, in seconds.
    """

    def __init__(self, longest_s: float = LONGEST_S) -> None:
        self._longest_s = longest_s
        self._next_s = min(FIRST_S, longest_s)

    def next_s(self) -> float:
        """Return how long to wait now."""
        now_s, self._next_s = self._next_s, min(self._next_s * 2, self._longest_s)
        return now_s
