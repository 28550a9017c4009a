"""Explicit matrix factorisation with biases (Koren, Bell, Volinsky, "Matrix factorization techniques", 2009)."""

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.user_state import UserState
from millrace.model.baselines.back_off import BackOff
from millrace.model.baselines.ridge import solve_one, solve_side
from millrace.model.baselines.selection import newest_from, newest_moments
from millrace.model.dataset.event_table import EventTable
from millrace.streams.statistics.growing import grown

Doubles = NDArray[np.float64]

_FACTORS = 16
_PENALTIES = (2.0, 4.0, 8.0, 16.0)
# More sweeps changed the error on held-out ratings by less than 0.1 %.
_FIRST_SWEEPS, _NEXT_SWEEPS = 8, 3
_INITIAL_SPREAD = 0.1


class MatrixFactorisation:
    """Predicts ratings as mean + b_u + b_i + p_u . q_i, fitted by alternating least squares, and ranks items by them.

    Only the item side is stored. A user's bias and vector are solved for from the newest 200 ratings for each request,
    so new ratings count at once and new users need no fit. The ranking quality is low, because the items that users
    rate next are not those that they would rate highest.

    Args:
        size: Initial number of scores; it grows when a higher item index occurs.
        seed: Seed of the initial vectors.
        setting: L2 penalty; None lets the first fit select it by the squared error on the newest tenth of its log.
        factors: Length of the vectors p and q.
    """

    refit_share = 0.1

    def __init__(self, size: int, seed: int = 0, setting: float | None = None, factors: int = _FACTORS) -> None:
        self.setting = setting
        self._seed = seed
        self._factors = factors
        self._back_off = BackOff(size)
        self._mean = 0.0
        # [N, factors + 1]: vectors, with the bias in the last column. Rows of items without ratings are zero.
        self._items: Doubles = np.zeros((size, factors + 1))
        self._rated: NDArray[np.bool_] = np.zeros(size, np.bool_)

    def scores(self, state: UserState, now_ms: int) -> Doubles:
        """Return the predicted ratings, divided by the largest, with ties broken by popularity, [N] float64."""
        if self.setting is None:
            return self._back_off.under(None)
        user = self._user(state)
        return self._back_off.under(self._items[:, :-1] @ user[:-1] + self._items[:, -1] + (user[-1] + self._mean))

    def rating(self, state: UserState, item: int) -> float:
        """Return the predicted rating of an item, on the scale of the event values; call `fit` first.

        Args:
            state: The user.
            item: Dense item index; for an unknown item the prediction is mean + b_u.
        """
        user = self._user(state)
        if item >= len(self._items):
            return self._mean + float(user[-1])
        return self._mean + float(user[-1] + self._items[item, -1] + self._items[item, :-1] @ user[:-1])

    def learn(self, before: UserState, item: int, value: float, ts_ms: int) -> None:
        """Count the item for the back-off; the item vectors change only at the next fit."""
        self._back_off.learn(before, item, value, ts_ms)

    def fit(self, events: EventTable, seed: int) -> None:
        """Fit by alternating least squares; later fits start from the current item vectors and need fewer sweeps."""
        if self.setting is None:
            self.setting = self._choose(events, seed)
        sweeps = _NEXT_SWEEPS if self._rated.any() else _FIRST_SWEEPS
        self._take_in(np.unique(events.items), np.random.default_rng((self._seed, seed)))
        self._mean = float(events.values.mean())
        alternate(self._items, events, self._mean, self.setting, sweeps)

    def _take_in(self, met: NDArray[np.int32], rng: np.random.Generator) -> None:
        """Initialise the vectors of newly rated items; `met` holds [R] int32 distinct item indexes."""
        highest = int(met.max(initial=0))
        if highest >= len(self._items):
            self._items, self._rated = grown(self._items, highest + 1), grown(self._rated, highest + 1)
        new = met[~self._rated[met]]
        self._items[new, :-1] = rng.normal(0.0, _INITIAL_SPREAD, (len(new), self._factors))
        self._rated[met] = True

    def _user(self, state: UserState) -> Doubles:
        """Return a user's vector and bias, [factors + 1] float64."""
        known = state.items < len(self._items)
        centred = state.values[known].astype(np.float64) - self._mean
        return np.asarray(solve_one(self._items, state.items[known], centred, self._penalty))

    @property
    def _penalty(self) -> float:
        return _PENALTIES[len(_PENALTIES) // 2] if self.setting is None else self.setting

    def _choose(self, events: EventTable, seed: int) -> float:
        cut = newest_from(events)
        if cut is None:
            return self._penalty
        return min(_PENALTIES, key=lambda penalty: self._squared_error(penalty, events, cut, seed))

    def _squared_error(self, penalty: float, events: EventTable, cut: int, seed: int) -> float:
        """Return the mean squared error on the ratings from row `cut` on, after a fit to the earlier ones."""
        fitted = MatrixFactorisation(len(self._items), self._seed, penalty, self._factors)
        fitted.fit(events.head(cut), seed)
        errors = [
            fitted.rating(state, int(events.items[row])) - float(events.values[row])
            for state, row in newest_moments(events, cut)
        ]
        return float(np.mean(np.square(errors)))


def alternate(items: Doubles, events: EventTable, mean: float, penalty: float, sweeps: int) -> None:
    """Fit item vectors by alternating least squares, in place.

    Args:
        items: [N, factors + 1] float64 initial vectors and biases; the rows of rated items are overwritten.
        events: Ratings.
        mean: Mean rating, subtracted from all ratings.
        penalty: L2 penalty of all vectors and biases, above 0.
        sweeps: Number of sweeps; each solves for the users and then for the items.
    """
    by_user, by_item = np.argsort(events.users, kind="stable"), np.argsort(events.items, kind="stable")
    users = np.zeros((int(events.users.max(initial=-1)) + 1, items.shape[1]))
    centred = events.values.astype(np.float64) - mean
    for _ in range(sweeps):
        solve_side(users, by_user, events.users, items, events.items, centred, penalty)
        solve_side(items, by_item, events.items, users, events.users, centred, penalty)
