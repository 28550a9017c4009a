"""Item statistics recomputed in plain Python from the whole stream, without rows, landmarks or pages."""

from collections import defaultdict
from collections.abc import Sequence

CLOCK_START, EXPONENT = 1000.0, 1 / 0.15

# An event as (history newest first, item).
Step = tuple[Sequence[int], int]


def transitions(steps: Sequence[Step], lags: int, decay: float) -> dict[tuple[int, int], float]:
    """A[j_d, i] += decay^d over the first lags."""
    out: defaultdict[tuple[int, int], float] = defaultdict(float)
    for history, item in steps:
        for lag, row in enumerate(list(history)[:lags]):
            if row != item:
                out[row, item] += decay**lag
    return out


def timed(steps: Sequence[Step], now: int) -> dict[tuple[int, int], float]:
    """Wide transitions, each increment worth (then / now)^exponent."""
    out: defaultdict[tuple[int, int], float] = defaultdict(float)
    for clock, (history, item) in enumerate(steps):
        worth = ((clock + CLOCK_START) / (now + CLOCK_START)) ** EXPONENT
        for lag, row in enumerate(list(history)[:30]):
            if row != item:
                out[row, item] += 0.93**lag * worth
    return out


def covisited(steps: Sequence[Step]) -> dict[tuple[int, int], float]:
    """Symmetric, 50 lags."""
    out: defaultdict[tuple[int, int], float] = defaultdict(float)
    for history, item in steps:
        for lag, row in enumerate(list(history)[:50]):
            if row != item:
                out[row, item] += 0.98**lag
                out[item, row] += 0.98**lag
    return out
