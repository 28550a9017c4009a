"""How long the steps of a batch take, and how many events pass: what the heartbeat reports."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

# Batches remembered for percentiles.
_WINDOW = 512
_RATE_WINDOW_S = 0.9


class StepTimes:
    """Milliseconds by step over the newest batches."""

    def __init__(self) -> None:
        self._steps: dict[str, deque[float]] = {}

    @contextmanager
    def measure(self, step: str) -> Iterator[None]:
        """Time the block as one run of a step."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add(step, 1000 * (time.perf_counter() - started))

    def add(self, step: str, ms: float) -> None:
        """Remember one run of a step."""
        self._steps.setdefault(step, deque(maxlen=_WINDOW)).append(ms)

    def summary(self) -> dict[str, dict[str, float]]:
        """Return p50 and p99 by step, in ms."""
        return {
            step: {"p50": round(float(np.percentile(runs, 50)), 3), "p99": round(float(np.percentile(runs, 99)), 3)}
            for step, runs in self._steps.items()
        }
