"""Adam (Kingma, Ba, 2015) for tables of which a step touches a few rows: the others' moments stand still."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_FIRST_FADE, _SECOND_FADE, _FLOOR = 0.9, 0.999, 1e-8


class LazyAdam:
    """Moments of one table.

    Args:
        shape: Of the table.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._first = np.zeros(shape, np.float32)
        self._second = np.zeros(shape, np.float32)
        self._steps = 0

    def step(self, table: Floats, gradient: Floats, rate: float) -> None:
        """Move the whole table against its gradient."""
        self._move(table, slice(None), gradient, rate)

    def step_rows(self, table: Floats, rows: NDArray[np.int64], gradients: Floats, rate: float) -> None:
        """Move the rows that occur; a row that occurs several times takes the sum of its gradients.

        Args:
            table: [R, W].
            rows: [B] rows of the table.
            gradients: [B, W].
            rate: Learning rate.
        """
        order = np.argsort(rows, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(rows[order]) != 0])
        self._move(table, rows[order][starts], np.add.reduceat(gradients[order], starts, axis=0), rate)

    def _move(self, table: Floats, rows: slice | NDArray[np.int64], gradient: Floats, rate: float) -> None:
        self._steps += 1
        first = self._first[rows] = _FIRST_FADE * self._first[rows] + (1.0 - _FIRST_FADE) * gradient
        second = self._second[rows] = _SECOND_FADE * self._second[rows] + (1.0 - _SECOND_FADE) * gradient**2
        scale = rate * np.sqrt(1.0 - _SECOND_FADE**self._steps) / (1.0 - _FIRST_FADE**self._steps)
        table[rows] -= np.float32(scale) * first / (np.sqrt(second) + np.float32(_FLOOR))
