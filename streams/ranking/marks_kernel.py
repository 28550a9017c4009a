"""The state of each item during one request: one byte each, all FREE between requests."""

import numpy as np
from numpy.typing import NDArray

from millrace.streams.compiled import compiled

# The user has touched BLOCKED items; KEPT ones are in the pool and stay among the candidates.
FREE, POOLED, BLOCKED, KEPT = 0, 1, 2, 3


@compiled
def block(items: NDArray[np.int32], marks: NDArray[np.uint8]) -> None:
    """Mark items, those out of range aside, as BLOCKED."""
    for item in items:
        if item < len(marks):
            marks[item] = BLOCKED


@compiled
def forget(items: NDArray[np.int32], marks: NDArray[np.uint8]) -> None:
    """Free items again, those out of range aside."""
    for item in items:
        if item < len(marks):
            marks[item] = FREE
