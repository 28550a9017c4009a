"""SASRec on a stream: trained on the whole log first, then on new events and a replayed sample of old ones.

W.-C. Kang, J. McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.user_state import UserState
from millrace.model.baselines.back_off import BackOff
from millrace.model.baselines.sasrec_inference import SasrecConfig, SasrecWeights, next_item_logits
from millrace.model.dataset.event_table import EventTable
from millrace.model.dataset.windows import Windows, cut_windows
from millrace.streams.statistics.growing import grown

if TYPE_CHECKING:
    from millrace.model.baselines.sasrec_network import SasrecNetwork
    from millrace.model.training.fitter import Fitter

# The newest half of a window's positions predict, so that each prediction can read at least half a window.
_TARGETS_SHARE = 2
# Targets over all epochs of the first fit: a small log gets more epochs, a large one fewer.
_FIRST_TARGETS = 300_000
_FIRST_EPOCHS = (2, 30)
_FIRST_RATE = 2e-3
_NEXT_EPOCHS, _NEXT_RATE = 3, 1e-3
_STEPS_PER_EPOCH = 40
_BATCH_WINDOWS = (8, 32)
_WEIGHT_DECAY = 0.01
# The item table grows by this many rows at a time, because TensorFlow traces a new graph for each size.
_ROWS_STEP = 2_048
# The paper's two values: the higher one is for data with few events per item.
_DROPOUT_SPARSE, _DROPOUT_DENSE = 0.5, 0.2
_DENSE_EVENTS_PER_ITEM = 50


class Sasrec:
    """Causal self-attention over the user's newest items, with learned positions and tied item vectors.

    The loss is the softmax cross-entropy over all items met so far. It gives better rankings than the paper's loss with
    one sampled negative (A. Klenitskiy, A. Vasilev, "Turning Dross Into Gold Loss: is BERT4Rec really better than
    SASRec?", RecSys 2023). A later fit starts from the current weights and trains on the windows with new targets and
    on as many old windows.

    Args:
        size: Initial number of scores; it grows when a higher item index occurs.
        seed: Seed of the initial weights, of dropout and of the replayed windows.
        config: Sizes of the network; the defaults of `SasrecConfig` if None.
    """

    refit_share = 0.1

    def __init__(self, size: int, seed: int = 0, config: SasrecConfig | None = None) -> None:
        self._config = config or SasrecConfig()
        self._seed = seed
        self._back_off = BackOff(size)
        # [N] row of each item in the network's table, 0 for an item not met yet; and [R] item of each row.
        self._rows: NDArray[np.int32] = np.zeros(size, np.int32)
        self._items: NDArray[np.int32] = np.zeros(1, np.int32)
        self._training: _NetworkTraining | None = None
        self._arrays: list[Any] | None = None
        self._weights: SasrecWeights | None = None
        self._learned = 0

    def scores(self, state: UserState, now_ms: int) -> NDArray[np.float64]:
        """Return the logits, divided by the largest absolute one, with ties broken by popularity, [N] float64."""
        weights = self._weights
        if weights is None:
            return self._back_off.under(None)
        history = state.items[: self._config.length][::-1]
        rows = self._rows[history[history < len(self._rows)]]
        rows = rows[rows > 0]
        if not len(rows):
            return self._back_off.under(None)
        logits = next_item_logits(weights, rows)[1 : len(self._items)]
        model = np.full(len(self._rows), float(logits.min()))
        model[self._items[1:]] = logits
        return self._back_off.under(model)

    def learn(self, before: UserState, item: int, value: float, ts_ms: int) -> None:
        """Count the item for the back-off; the network changes only at the next fit."""
        self._back_off.learn(before, item, value, ts_ms)

    def fit(self, events: EventTable, seed: int) -> None:
        """Train on windows of the log; later fits use new windows and as many replayed ones."""
        windows = cut_windows(events, self._config.length, self._config.length // _TARGETS_SHARE)
        epochs, rate = int(np.clip(_FIRST_TARGETS // max(len(events), 1), *_FIRST_EPOCHS)), _FIRST_RATE
        if self._arrays is not None:
            epochs, rate = _NEXT_EPOCHS, _NEXT_RATE
            windows = _new_and_replayed(windows, self._learned, np.random.default_rng((self._seed, seed)))
        self._take_in(np.unique(events.items))
        self._training = training = self._training_for(events)
        if self._arrays is not None:
            training.network.start_from(self._arrays)
        training.network.forget_steps()
        training.network.use_rows(len(self._items) - 1)
        batch = int(np.clip(len(windows) // _STEPS_PER_EPOCH, *_BATCH_WINDOWS))
        counts = (windows.target > 0).astype(np.float32)
        history, target = self._rows[windows.history], self._rows[windows.target]
        training.fitter.fit((history,), target, counts, epochs, rate, batch, seed, lambda *_: None)
        self._arrays, self._learned = training.network.arrays(), len(events)
        self._weights = training.network.weights_for_inference()

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without Keras objects; the next fit rebuilds them from the arrays."""
        return {**self.__dict__, "_training": None}

    def _take_in(self, met: NDArray[np.int32]) -> None:
        """Assign a table row to each new item; `met` holds [K] int32 distinct item indexes."""
        highest = int(met.max(initial=0))
        if highest >= len(self._rows):
            self._rows = grown(self._rows, highest + 1)
        new = met[(self._rows[met] == 0) & (met > 0)]
        self._rows[new] = len(self._items) + np.arange(len(new))
        self._items = np.append(self._items, new)

    def _training_for(self, events: EventTable) -> "_NetworkTraining":
        """Return a network and its fitter with a row for each item: the current ones if they are large enough."""
        if self._training is not None and len(self._items) <= self._training.rows:
            return self._training
        # Imported here because TensorFlow takes seconds to load, and only a fit needs it.
        from millrace.model.baselines.sasrec_network import SasrecNetwork
        from millrace.model.training.fitter import Fitter

        rows = -(-len(self._items) // _ROWS_STEP) * _ROWS_STEP
        targets = self._config.length // _TARGETS_SHARE
        network = SasrecNetwork(self._config, rows, targets, _dropout(events), self._seed)
        return _NetworkTraining(network, Fitter(network, _WEIGHT_DECAY, "sasrec"), rows)


@dataclass(frozen=True, slots=True)
class _NetworkTraining:
    network: "SasrecNetwork"
    fitter: "Fitter"
    rows: int


def _dropout(events: EventTable) -> float:
    per_item = len(events) / max(len(np.unique(events.items)), 1)
    return _DROPOUT_DENSE if per_item >= _DENSE_EVENTS_PER_ITEM else _DROPOUT_SPARSE


def _new_and_replayed(windows: Windows, learned: int, rng: np.random.Generator) -> Windows:
    """Return the windows with a target at log row `learned` or later, and a sample of as many other windows."""
    new = windows.newest >= learned
    old = np.flatnonzero(~new)
    replayed = rng.choice(old, min(len(old), int(new.sum())), replace=False)
    return windows.take(np.concatenate([np.flatnonzero(new), replayed]))
