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
# Rows sorted at a time: the whole matrix would be copied otherwise.
_BLOCK_ROWS = 512


@dataclass(frozen=True, slots=True)
class ItemKnnSetting:
    """What the first fit chooses.

    Args:
        shrinkage: Keeps items of few users from being near by chance, in users; 0 leaves the plain cosine.
        window: Newest items whose neighbours count; None for all touched ones, as published.
    """

    shrinkage: float = 10.0
    window: int | None = None


class ItemKnn:
    """Sums, over a user's items, the cosines of their nearest neighbours: c_ij / (sqrt(n_i n_j) + shrinkage).

    n_i users touched item i, c_ij both.

    Args:
        size: Item indexes are below this, or the scores grow.
        setting: None lets the first fit choose by the newest tenth of its log.
        neighbours: Kept per item.
        max_items: Most items modelled; counting takes 4 bytes for each pair.
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
        """Return [N] sums of cosines."""
        return self._back_off.under(None if self._sums is None else self._sums.of(state))

    def learn(self, before: UserState, item: int, value: float, ts_ms: int) -> None:
        """Count the item for the back-off; neighbours wait for the next fit."""
        self._back_off.learn(before, item, value, ts_ms)

    def fit(self, events: EventTable, seed: int) -> None:
        """Find each item's nearest neighbours."""
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
    """Return [M, K] item indexes of the nearest neighbours and [M, K] float32 cosines.

    Args:
        known: Who touched what.
        shrinkage: Added to the denominator of the cosine.
        neighbours: K, or fewer if there are not as many items.
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
