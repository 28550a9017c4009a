"""EASE: a linear item-to-item model in closed form (Steck, "Embarrassingly Shallow Autoencoders", WWW 2019)."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.user_state import UserState
from millrace.model.baselines.back_off import BackOff
from millrace.model.baselines.history_sums import WINDOWS, HistorySums
from millrace.model.baselines.interactions import MAX_ITEMS, Interactions, interactions_of
from millrace.model.baselines.selection import best_setting
from millrace.model.dataset.event_table import EventTable

# From the paper's range and below it, for logs with few users.
_PENALTIES = (10.0, 30.0, 100.0, 300.0, 1_000.0, 3_000.0)


@dataclass(frozen=True, slots=True)
class EaseSetting:
    """What the first fit chooses.

    Args:
        penalty: Ridge penalty.
        window: Newest items that x marks; None for all touched ones, as published.
    """

    penalty: float = 100.0
    window: int | None = None


class Ease:
    """Scores x B, where x marks a user's items and B = -P / diag(P) off the diagonal, P = (X'X + penalty I)^-1.

    Args:
        size: Item indexes are below this, or the scores grow.
        setting: None lets the first fit choose by the newest tenth of its log.
        max_items: Most items modelled; B takes 4 bytes for each pair.
    """

    refit_share = 0.1

    def __init__(self, size: int, setting: EaseSetting | None = None, max_items: int = MAX_ITEMS) -> None:
        self.setting = setting
        self._size = size
        self._max_items = max_items
        self._back_off = BackOff(size)
        self._items: NDArray[np.int32] = np.empty(0, np.int32)
        self._sums: HistorySums | None = None

    def scores(self, state: UserState, now_ms: int) -> NDArray[np.float64]:
        """Return [N] scores."""
        if self._sums is None:
            return self._back_off.under(None)
        model = np.zeros(self._size)
        model[self._items] = self._sums.of(state)
        return self._back_off.under(model)

    def learn(self, before: UserState, item: int, value: float, ts_ms: int) -> None:
        """Count the item for the back-off; B waits for the next fit."""
        self._back_off.learn(before, item, value, ts_ms)

    def fit(self, events: EventTable, seed: int) -> None:
        """Solve for B."""
        self.setting = self.setting or self._choose(events, seed)
        known = interactions_of(events, self._size, self._max_items)
        self._size = len(known.columns)
        self._items = known.items
        rows = _DenseRows(known.columns, item_weights(known, self.setting.penalty))
        self._sums = HistorySums(rows, self.setting.window)

    def _choose(self, events: EventTable, seed: int) -> EaseSetting:
        def make(setting: EaseSetting) -> Ease:
            return Ease(self._size, setting, self._max_items)

        setting = best_setting([EaseSetting(window=window) for window in WINDOWS], make, events, seed)
        return best_setting([replace(setting, penalty=penalty) for penalty in _PENALTIES], make, events, seed)


@dataclass(frozen=True, slots=True)
class _DenseRows:
    columns: NDArray[np.int32]
    weights: NDArray[np.float32]

    @property
    def width(self) -> int:
        return len(self.weights)

    def add_to(self, total: NDArray[np.float64], item: int) -> None:
        if item < len(self.columns) and self.columns[item] >= 0:
            total += self.weights[self.columns[item]]


def item_weights(known: Interactions, penalty: float) -> NDArray[np.float32]:
    """Return B, [M, M] with a zero diagonal: how much having touched the row's item speaks for the column's."""
    inverse = _inverse_by_users(known, penalty) if 2 * len(known.baskets) < len(known) else _inverse(known, penalty)
    inverse /= -np.diagonal(inverse).copy()
    np.fill_diagonal(inverse, 0.0)
    return inverse


def _inverse(known: Interactions, penalty: float) -> NDArray[np.float32]:
    gram = known.cooccurrences()
    gram[np.diag_indices_from(gram)] += penalty
    return np.asarray(np.linalg.inv(gram), np.float32)


def _inverse_by_users(known: Interactions, penalty: float) -> NDArray[np.float32]:
    """Return the same by the smaller [users, users] system (Woodbury): (I - X' (XX' + penalty I)^-1 X) / penalty."""
    matrix = known.matrix()
    small = matrix @ matrix.T
    small[np.diag_indices_from(small)] += penalty
    # XX' + penalty I = LL', so that the product below is that of one matrix with itself.
    half = np.linalg.solve(np.linalg.cholesky(small), matrix)
    inverse = half.T @ half
    inverse /= -penalty
    inverse[np.diag_indices_from(inverse)] += 1.0 / penalty
    return np.asarray(inverse, np.float32)
