"""Ratings grouped by user or by item, as the factorisation kernels read them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Grouped:
    """N ratings in the order of their group.

    Args:
        starts: [groups + 1] int64 first row of each group.
        others: [N] int64 item of each rating if grouped by user, and the reverse.
        order: [N] int64 row of each rating before grouping.
    """

    starts: NDArray[np.int64]
    others: NDArray[np.int64]
    order: NDArray[np.int64]


def grouped(groups: NDArray[Any], others: NDArray[Any], count: int) -> Grouped:
    """Return ratings grouped by `groups`, whose numbers are 0 .. count - 1."""
    order = np.argsort(groups, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(groups, minlength=count))])
    return Grouped(starts.astype(np.int64), np.asarray(others, np.int64)[order], order.astype(np.int64))
