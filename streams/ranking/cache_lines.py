"""Memory whose rows are whole cache lines: rows that are read and written at random."""

import numpy as np
from numpy.typing import NDArray

_CACHE_LINE_BYTES = 64


def cache_lines(rows: int, columns: int) -> NDArray[np.float32]:
    """Return [rows, columns] zeros that begin with a cache line; 16 columns fill one."""
    spare = _CACHE_LINE_BYTES // np.dtype(np.float32).itemsize
    memory = np.zeros(rows * columns + spare, np.float32)
    start = -memory.ctypes.data % _CACHE_LINE_BYTES // memory.itemsize
    return memory[start : start + rows * columns].reshape(rows, columns)
