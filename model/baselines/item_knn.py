"""Item-based nearest neighbours (Deshpande, Karypis, "Item-based top-N recommendation algorithms", TOIS 2004)."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.user_state import UserState
from millrace.model.baselines.back_off import BackOff
from millrace.model.baselines.history_sums import WINDOWS, HistorySums
from millrace.model.baselines.interactions import MAX_ITEMS, Interactions, interactions_of
from millrace.model.baselines.selection import best_setting
from millrace.model.dataset.event_table import EventTable

_NEIGHBOURS = 100
_SHRINKAGES = (0.0, 3.0, 10.0, 30.0, 100.0)
# Rows per partial sort; sorting the whole matrix at once would need a copy of it.
_BLOCK_ROWS = 512


@dataclass(frozen=True, slots=True)
class ItemKnnSetting:
    """The hyperparameters that the first fit selects.

    Args:
        shrinkage: Term of the denominator that lowers the similarity of items with few users, in users; with 0 the
            similarity is the plain cosine.
        window: Number of newest items whose neighbours are summed; None for all touched items, as in the paper.
    """

    shrinkage: float = 10.0
    window: int | None = None


class ItemKnn:
    """Scores items by their similarity to the user's items, summed over those of which they are a nearest neighbour.

    The similarity of items i and j is c_ij / (sqrt(n_i n_j) + shrinkage), where n_i users touched i and c_ij users
    touched both.

    Args:
        size: Initial number of scores; it grows when a higher item index occurs.
        setting: Hyperparameters; None lets the first fit select them on the newest tenth of its log.
        neighbours: Nearest neighbours kept per item.
        max_items: Most items in the model; the co-occurrence counts need 4 bytes per pair of items.
    """

    refit_share = 0.1

    def __init__(
        self,
        size: int,
        setting: ItemKnnSetting | None = None,
        neighbours: int = _NEIGHBOURS,
        max_items: int = MAX_ITEMS,
    ) -> None:
        self.setting = setting
        self._size = size
        self._neighbours = neighbours
        self._max_items = max_items
        self._back_off = BackOff(size)
        self._sums: HistorySums | None = None

    def scores(self, state: UserState, now_ms: int) -> NDArray[np.float64]:
        """Return the summed similarities, divided by the largest, with ties broken by popularity, [N] float64."""
        return self._back_off.under(None if self._sums is None else self._sums.of(state))

    def learn(self, before: UserState, item: int, value: float, ts_ms: int) -> None:
        """Count the item for the back-off; the neighbours change only at the next fit."""
        self._back_off.learn(before, item, value, ts_ms)

    def fit(self, events: EventTable, seed: int) -> None:
        """Compute each item's nearest neighbours; the first fit also selects the hyperparameters."""
        self.setting = self.setting or self._choose(events, seed)
        known = interactions_of(events, self._size, self._max_items)
        self._size = len(known.columns)
        items, cosines = nearest(known, self.setting.shrinkage, self._neighbours)
        self._sums = HistorySums(_SparseRows(known.columns, items, cosines), self.setting.window)

    def _choose(self, events: EventTable, seed: int) -> ItemKnnSetting:
        def make(setting: ItemKnnSetting) -> ItemKnn:
            return ItemKnn(self._size, setting, self._neighbours, self._max_items)

        setting = best_setting([ItemKnnSetting(window=window) for window in WINDOWS], make, events, seed)
        return best_setting([replace(setting, shrinkage=shrinkage) for shrinkage in _SHRINKAGES], make, events, seed)


@dataclass(frozen=True, slots=True)
class _SparseRows:
    columns: NDArray[np.int32]
    items: NDArray[np.int32]
    cosines: NDArray[np.float32]

    @property
    def width(self) -> int:
        return len(self.columns)

    def add_to(self, total: NDArray[np.float64], item: int) -> None:
        if item < len(self.columns) and self.columns[item] >= 0:
            row = self.columns[item]
            total[self.items[row]] += self.cosines[row]


def nearest(known: Interactions, shrinkage: float, neighbours: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the nearest neighbours of each item.

    Args:
        known: Interactions with M modelled items.
        shrinkage: Term added to the denominator of the cosine, in users.
        neighbours: Neighbours per item; K is at most M - 1.

    Returns:
        [M, K] int32 dense item indexes of the neighbours, in no particular order, and [M, K] float32 similarities.
    """
    cosines = known.cooccurrences()
    roots = np.sqrt(known.users_of)
    np.fill_diagonal(cosines, 0.0)
    kept = min(neighbours, max(len(known) - 1, 0))
    places = np.empty((len(known), kept), np.int64)
    values = np.empty((len(known), kept), np.float32)
    for first in range(0, len(known) if kept else 0, _BLOCK_ROWS):
        rows = slice(first, min(first + _BLOCK_ROWS, len(known)))
        cosines[rows] /= roots[rows, None] * roots + shrinkage
        places[rows] = np.argpartition(-cosines[rows], kept - 1, axis=1)[:, :kept]
        values[rows] = np.take_along_axis(cosines[rows], places[rows], axis=1)
    return known.items[places], values
