"""Adam for tables of which a step updates only a few rows; the moments of the other rows do not decay.

D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_FIRST_FADE, _SECOND_FADE, _FLOOR = 0.9, 0.999, 1e-8


class LazyAdam:
    """Adam optimiser of one table.

    Args:
        shape: Shape of the table.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._first = np.zeros(shape, np.float32)
        self._second = np.zeros(shape, np.float32)
        self._steps = 0

    def step(self, table: Floats, gradient: Floats, rate: float) -> None:
        """Update the whole table in place.

        Args:
            table: Float32 table of the optimiser's shape.
            gradient: Float32 gradient of the same shape.
            rate: Learning rate.
        """
        self._move(table, slice(None), gradient, rate)

    def step_rows(self, table: Floats, rows: NDArray[np.int64], gradients: Floats, rate: float) -> None:
        """Update some rows of a table in place.

        Args:
            table: [R, W] float32 table.
            rows: [B] int64 rows to update, B at least 1; the gradients of a repeated row are summed.
            gradients: [B, W] float32 gradient of each of these rows.
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
