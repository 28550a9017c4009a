"""Arrays indexed by item that grow by doubling."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

# No process has memory for the statistics of more items (5 KB each): a larger index is damage, not an item.
MOST_ITEMS = 1 << 24

_Array = TypeVar("_Array", bound=NDArray[Any])


def grown(array: _Array, size: int) -> _Array:
    """Return an array with at least `size` rows: the old rows, then zeros.

    Raises:
        ValueError: More than MOST_ITEMS rows are asked for.
    """
    if size > MOST_ITEMS:
        raise ValueError(f"Index {size - 1:,} is beyond the {MOST_ITEMS:,} items that fit in memory.")
    rows = len(array)
    while rows < size:
        rows *= 2
    out = np.zeros((rows, *array.shape[1:]), array.dtype)
    out[: len(array)] = array
    return out  # type: ignore[return-value]
