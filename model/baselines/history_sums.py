"""Sums of item rows over a user's history; sums over whole histories are cached and updated incrementally."""

from collections import OrderedDict
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.user_state import ItemArray, UserState

# Windows among which a first fit selects. None is the whole history, as in the papers of the item-to-item models.
WINDOWS: tuple[int | None, ...] = (5, 10, 20, 50, None)
# At 10,000 items a sum takes 80 kB.
_USERS_KEPT = 512


class ItemRows(Protocol):
    """A matrix with one row per item; implementations must be picklable."""

    @property
    def width(self) -> int:
        """Length of a row."""
        ...

    def add_to(self, total: NDArray[np.float64], item: int) -> None:
        """Add the row of an item to a sum, in place; do nothing for an item without a row.

        Args:
            total: [width] float64 sum, modified.
            item: Dense item index.
        """
        ...


class HistorySums:
    """Sums of the rows of a user's items.

    Sums over whole histories are cached for the most recent users. Rows are always added one by one in the order of
    first touch, so a sum is the same to the last bit with or without the cache.

    Args:
        rows: Rows to sum.
        window: Number of newest items to sum; None for all touched items.
    """

    def __init__(self, rows: ItemRows, window: int | None = None) -> None:
        self._rows = rows
        self._window = window
        self._kept: OrderedDict[str, tuple[ItemArray, NDArray[np.float64]]] = OrderedDict()

    def of(self, state: UserState) -> NDArray[np.float64]:
        """Return the sum for a user, [width] float64; the caller must not modify it."""
        if self._window is None:
            return self._of_all(state)
        total = np.zeros(self._rows.width)
        for item in dict.fromkeys(state.items[: self._window].tolist()):
            self._rows.add_to(total, item)
        return total

    def _of_all(self, state: UserState) -> NDArray[np.float64]:
        touched, total = self._kept.pop(state.user_id, (state.touched[:0], np.zeros(self._rows.width)))
        if not np.array_equal(state.touched[: len(touched)], touched):
            touched, total = state.touched[:0], np.zeros(self._rows.width)
        for item in state.touched[len(touched) :].tolist():
            self._rows.add_to(total, item)
        self._kept[state.user_id] = (state.touched, total)
        if len(self._kept) > _USERS_KEPT:
            self._kept.popitem(last=False)
        return total
