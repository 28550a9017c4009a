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

# The paper's range, extended to smaller values for logs with few users.
_PENALTIES = (10.0, 30.0, 100.0, 300.0, 1_000.0, 3_000.0)


@dataclass(frozen=True, slots=True)
class EaseSetting:
    """The hyperparameters that the first fit selects.

    Args:
        penalty: L2 penalty, above 0.
        window: Number of newest items in x; None for all touched items, as in the paper.
    """

    penalty: float = 100.0
    window: int | None = None


class Ease:
    """Scores items by x B, where x is the binary vector of the user's items and B a learned item-to-item matrix.

    With X the binary user-item matrix and P = (X'X + penalty I)^-1, B is -P with each column divided by its diagonal
    entry, and zero on the diagonal.

    Args:
        size: Initial number of scores; it grows when a higher item index occurs.
        setting: Hyperparameters; None lets the first fit select them on the newest tenth of its log.
        max_items: Most items in the model; B needs 4 bytes per pair of items.
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
        """Return x B, divided by its largest absolute value, with ties broken by popularity, [N] float64."""
        if self._sums is None:
            return self._back_off.under(None)
        model = np.zeros(self._size)
        model[self._items] = self._sums.of(state)
        return self._back_off.under(model)

    def learn(self, before: UserState, item: int, value: float, ts_ms: int) -> None:
        """Count the item for the back-off; B changes only at the next fit."""
        self._back_off.learn(before, item, value, ts_ms)

    def fit(self, events: EventTable, seed: int) -> None:
        """Solve for B; the first fit also selects the hyperparameters."""
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
    """Return B: the weight of having touched the row's item in the score of the column's item.

    Args:
        known: Interactions with M modelled items.
        penalty: L2 penalty, above 0.

    Returns:
        [M, M] float32 with a zero diagonal.
    """
    inverse = _inverse_by_users(known, penalty) if 2 * len(known.baskets) < len(known) else _inverse(known, penalty)
    inverse /= -np.diagonal(inverse).copy()
    np.fill_diagonal(inverse, 0.0)
    return inverse


def _inverse(known: Interactions, penalty: float) -> NDArray[np.float32]:
    gram = known.cooccurrences()
    gram[np.diag_indices_from(gram)] += penalty
    return np.asarray(np.linalg.inv(gram), np.float32)


def _inverse_by_users(known: Interactions, penalty: float) -> NDArray[np.float32]:
    """Return P through a [users, users] system, which is faster with few users.

    By the Woodbury identity, P = (I - X' (XX' + penalty I)^-1 X) / penalty.
    """
    matrix = known.matrix()
    small = matrix @ matrix.T
    small[np.diag_indices_from(small)] += penalty
    # With XX' + penalty I = LL', X' (XX' + penalty I)^-1 X is the product of L^-1 X with itself: one solve, and NumPy
    # multiplies a matrix by its own transpose with a faster BLAS routine.
    half = np.linalg.solve(np.linalg.cholesky(small), matrix)
    inverse = half.T @ half
    inverse /= -penalty
    inverse[np.diag_indices_from(inverse)] += 1.0 / penalty
    return np.asarray(inverse, np.float32)
