"""Neural collaborative filtering on a stream: NeuMF (He et al., "Neural Collaborative Filtering", WWW 2017)."""

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.user_state import UserState
from millrace.model.baselines.back_off import BackOff
from millrace.model.baselines.lazy_adam import LazyAdam
from millrace.model.baselines.ncf_network import (
    WIDTH,
    Floats,
    PreparedItems,
    Weights,
    gradient,
    initial_embeddings,
    initial_weights,
    logits,
    prepare_items,
)
from millrace.model.baselines.selection import best_setting
from millrace.model.dataset.event_table import EventTable
from millrace.streams.statistics.growing import grown

# Negative items per touched item, sampled uniformly as in the paper.
_NEGATIVES = 4
_BATCH_PAIRS = 256
_RATE = 2e-3
_EPOCHS = (5, 10, 20, 40)
_NEXT_EPOCHS = 3
# Learning rate of the SGD step that each event takes on its user's embedding.
_USER_RATE = 0.3


class Ncf:
    """NeuMF, trained with binary cross-entropy on touched items against sampled negatives.

    Between two fits, only the user embeddings learn. A user who is new since the last fit starts near the mean of all
    users at that fit. A user without events gets popularity scores.

    Args:
        size: Initial number of items; it grows when a higher item index occurs.
        seed: Seed of the initial weights and of the sampled negatives.
        setting: Epochs of the first fit; None lets the fit select them on the newest tenth of its log.
    """

    refit_share = 0.1

    def __init__(self, size: int, seed: int = 0, setting: int | None = None) -> None:
        self.setting = setting
        self._seed = seed
        self._back_off = BackOff(size)
        self._size = size
        self._rows: dict[str, int] = {}
        self._tables: _Tables | None = None
        self._draws = np.random.default_rng(seed)

    def scores(self, state: UserState, now_ms: int) -> NDArray[np.float64]:
        """Return the logits, divided by the largest absolute one, with ties broken by popularity, [N] float64."""
        row = self._rows.get(state.user_id)
        if self._tables is None or row is None:
            return self._back_off.under(None)
        return self._back_off.under(self._tables.logits(row).astype(np.float64))

    def learn(self, before: UserState, item: int, value: float, ts_ms: int) -> None:
        """Take one gradient step on the user's embedding, with the item and sampled negatives."""
        self._back_off.learn(before, item, value, ts_ms)
        if self._tables is None or item >= len(self._tables.items):
            return
        row = self._rows.setdefault(before.user_id, len(self._rows))
        self._tables.ensure_users(len(self._rows), self._draws)
        drawn = self._draws.integers(1, len(self._tables.items), _NEGATIVES)
        self._tables.move_user(row, np.append(drawn, item))

    def fit(self, events: EventTable, seed: int) -> None:
        """Train on the whole log; later fits start from the current weights and run fewer epochs."""
        if self.setting is None:
            self.setting = best_setting(_EPOCHS, lambda epochs: Ncf(self._size, self._seed, epochs), events, seed)
        rng = np.random.default_rng((self._seed, seed))
        epochs = self.setting if self._tables is None else _NEXT_EPOCHS
        self._size = max(self._size, int(events.items.max(initial=0)) + 1)
        if self._tables is None:
            self._tables = _Tables(self._size, rng)
        users = np.array(
            [self._rows.setdefault(str(user), len(self._rows)) for user in events.users.tolist()], np.int64
        )
        self._tables.ensure_users(len(self._rows), rng)
        self._tables.ensure_items(self._size, rng)
        self._tables.train(users, events.items.astype(np.int64), epochs, rng)


class _Tables:
    """The embeddings of users and items, and the shared weights."""

    def __init__(self, items: int, rng: np.random.Generator) -> None:
        self.users: Floats = initial_embeddings(1, rng)
        self.items: Floats = initial_embeddings(items, rng)
        self.weights: Weights = initial_weights(rng)
        self._prepared: PreparedItems | None = None
        self._known_users = 0
        self._centre: Floats = np.zeros(WIDTH, np.float32)

    def logits(self, row: int) -> Floats:
        """Return the logits of all items for the user at a row, [N] float32."""
        if self._prepared is None:
            self._prepared = prepare_items(self.items, self.weights)
        return logits(self.users[row], self._prepared, self.weights)

    def ensure_users(self, count: int, rng: np.random.Generator) -> None:
        """Add embeddings until there are `count` users; new ones start near the mean of the users at the last fit."""
        new = count - self._known_users
        if new <= 0:
            return
        if count > len(self.users):
            self.users = grown(self.users, count)
        self.users[self._known_users : count] = self._centre + initial_embeddings(new, rng)
        self._known_users = count

    def ensure_items(self, count: int, rng: np.random.Generator) -> None:
        """Add embeddings until there are `count` items."""
        if count > len(self.items):
            self.items = np.concatenate([self.items, initial_embeddings(count - len(self.items), rng)])

    def move_user(self, row: int, items: NDArray[np.int64]) -> None:
        """Take one gradient step on a user's embedding.

        Args:
            row: Row of the user.
            items: [B] int64 item indexes; the last one was touched, the others are sampled negatives.
        """
        labels = np.zeros(len(items), np.float32)
        labels[-1] = 1.0
        user = np.broadcast_to(self.users[row], (len(items), WIDTH))
        self.users[row] -= _USER_RATE * gradient(user, self.items[items], labels, self.weights).users.sum(axis=0)

    def train(self, users: NDArray[np.int64], items: NDArray[np.int64], epochs: int, rng: np.random.Generator) -> None:
        """Train on touched pairs, with new negatives in each epoch.

        Args:
            users: [R] int64 user row of each pair.
            items: [R] int64 item index of each pair.
            epochs: Passes over the pairs.
            rng: Random generator of the order and the negatives.
        """
        optimisers = [LazyAdam(array.shape) for array in self.weights.all()]
        for_users, for_items = LazyAdam(self.users.shape), LazyAdam(self.items.shape)
        labels = np.repeat(np.array([1.0, 0.0], np.float32), [1, _NEGATIVES])
        for _ in range(epochs):
            order = rng.permutation(len(items))
            for first in range(0, len(order), _BATCH_PAIRS):
                rows = order[first : first + _BATCH_PAIRS]
                drawn = rng.integers(1, len(self.items), (len(rows), _NEGATIVES))
                pair_items = np.concatenate([items[rows, None], drawn], axis=1).ravel()
                pair_users = np.repeat(users[rows], 1 + _NEGATIVES)
                found = gradient(
                    self.users[pair_users], self.items[pair_items], np.tile(labels, len(rows)), self.weights
                )
                for_users.step_rows(self.users, pair_users, found.users, _RATE)
                for_items.step_rows(self.items, pair_items, found.items, _RATE)
                for optimiser, array, step in zip(optimisers, self.weights.all(), found.weights.all(), strict=True):
                    optimiser.step(array, step, _RATE)
        self._centre = self.users[: self._known_users].mean(axis=0)
        self._prepared = None
