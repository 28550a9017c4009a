"""A fitted baseline that keeps its own log and refits itself when a list is wanted and enough has happened."""

import time
from array import array
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from model.baselines.protocol import FittedBaseline
from model.dataset.events import EventTable
from streams.users import UserState


class Refitting:
    """A plain baseline around a fitted one: nothing is fitted before the first scores are asked for.

    Users may have any id; the fitted baseline meets them by the order of their first event.

    Args:
        fitted: Baseline to fit.
        seed: Of the fits.
    """

    def __init__(self, fitted: FittedBaseline, seed: int = 0) -> None:
        self.fitted = fitted
        self.fits = 0
        self.fit_s = 0.0
        self._seed = seed
        self._numbers: dict[str, int] = {}
        self._users, self._items, self._values, self._ts_ms = array("i"), array("i"), array("f"), array("q")
        self._fitted_to = 0

    def scores(self, state: UserState, now_ms: int) -> NDArray[np.float64]:
        """Return [N] scores, after a fit if one is due."""
        if len(self._items) and len(self._items) >= self._fitted_to * (1.0 + self.fitted.refit_share):
            self._fit()
        return self.fitted.scores(self._renamed(state), now_ms)

    def learn(self, before: UserState, item: int, value: float, ts_ms: int) -> None:
        """Write the event down and let the baseline learn what it can at once."""
        self._users.append(self._numbers.setdefault(before.user_id, len(self._numbers)))
        self._items.append(item)
        self._values.append(value)
        self._ts_ms.append(ts_ms)
        self.fitted.learn(self._renamed(before), item, value, ts_ms)

    def log(self) -> EventTable:
        """Return a copy of everything learned."""
        return EventTable(
            np.array(self._users, np.int32),
            np.array(self._items, np.int32),
            np.array(self._values, np.float32),
            np.array(self._ts_ms, np.int64),
        )

    def _fit(self) -> None:
        began = time.perf_counter()
        self.fitted.fit(self.log(), self._seed)
        self._fitted_to = len(self._items)
        self.fits += 1
        self.fit_s += time.perf_counter() - began

    def _renamed(self, state: UserState) -> UserState:
        number = self._numbers.get(state.user_id)
        return replace(state, user_id="new" if number is None else str(number))
