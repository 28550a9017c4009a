"""Sums of item rows over a user's history: over its newest items, or over all of it without starting anew each time."""

from collections import OrderedDict
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.user_state import ItemArray, UserState

# Windows that a first fit chooses from; None is the whole history, as the item-to-item models were published.
WINDOWS: tuple[int | None, ...] = (5, 10, 20, 50, None)
# At 10,000 items a sum takes 80 kB.
_USERS_KEPT = 512


class ItemRows(Protocol):
    """One row of numbers per item; kept with the sums, so anything that can be pickled."""

    @property
    def width(self) -> int:
        """Entries of a row."""
        ...

    def add_to(self, total: NDArray[np.float64], item: int) -> None:
        """Add the row of an item to a sum in place; do nothing for an item without one."""
        ...


class HistorySums:
    """The sum of one row per touched item.

    Sums over whole histories are kept for the users seen last. Rows are always added one by one in the order of first
    touch, so that a sum does not depend on what was kept.

    Args:
        rows: Summed.
        window: Newest items that count; None for all.
    """

    def __init__(self, rows: ItemRows, window: int | None = None) -> None:
        self._rows = rows
        self._window = window
        self._kept: OrderedDict[str, tuple[ItemArray, NDArray[np.float64]]] = OrderedDict()

    def of(self, state: UserState) -> NDArray[np.float64]:
        """Return [width] for a user; do not modify."""
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
