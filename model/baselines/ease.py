"""EASE: a linear item-to-item model in closed form (Steck, "Embarrassingly Shallow Autoencoders", WWW 2019)."""

import numpy as np
from numpy.typing import NDArray

from model.baselines.back_off import BackOff
from model.baselines.history_sums import HistorySums
from model.baselines.interactions import MAX_ITEMS, Interactions, interactions_of
from model.baselines.selection import best_setting
from model.dataset.events import EventTable
from streams.users import UserState

# Ridge penalties that the first fit chooses from; the paper's range and below, for logs with few users.
_PENALTIES = (30.0, 100.0, 300.0, 1_000.0)


class Ease:
    """Scores x B, where x marks the touched items and B = -P / diag(P) off the diagonal, P = (X'X + penalty I)^-1.

    Args:
        size: Item indexes are below this, or the scores grow.
        penalty: Ridge penalty; None lets the first fit choose by the newest tenth of its log.
        max_items: Most items modelled; B takes 4 bytes for each pair.
    """

    refit_share = 0.1

    def __init__(self, size: int, penalty: float | None = None, max_items: int = MAX_ITEMS) -> None:
        self._size = size
        self._max_items = max_items
        self._back_off = BackOff(size)
        self._items: NDArray[np.int32] = np.empty(0, np.int32)
        self._sums: HistorySums | None = None
        self.penalty = penalty

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
        if self.penalty is None:
            self.penalty = best_setting(
                _PENALTIES, lambda penalty: Ease(self._size, penalty, self._max_items), events, seed
            )
        known = interactions_of(events, self._size, self._max_items)
        weights = item_weights(known, self.penalty)
        columns = known.columns
        self._size = len(columns)
        self._items = known.items

        def add_row(total: NDArray[np.float64], item: int) -> None:
            if item < len(columns) and columns[item] >= 0:
                total += weights[columns[item]]

        self._sums = HistorySums(len(known), add_row)


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
