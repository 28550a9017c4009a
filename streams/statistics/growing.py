"""Arrays indexed by item that grow by doubling."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

_Array = TypeVar("_Array", bound=NDArray[Any])


def grown(array: _Array, size: int) -> _Array:
    """Return an array with at least `size` rows: the old rows, then zeros."""
    rows = len(array)
    while rows < size:
        rows *= 2
    out = np.zeros((rows, *array.shape[1:]), array.dtype)
    out[: len(array)] = array
    return out  # type: ignore[return-value]
