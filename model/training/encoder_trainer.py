"""Training the encoder on windows of the log."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from millrace.model.dataset.windows import Windows
from millrace.model.network.recommender import Recommender
from millrace.model.training.new_items import fit_new_items
from millrace.model.training.next_item import Batch, NextItemStep
from millrace.model.training.progress import Progress

_WEIGHT_DECAY = 0.01
# A small log needs steps more than it needs large batches.
_STEPS_PER_EPOCH = 40
_BATCH_TARGETS = 1_600
_LEAST_BATCH = 2
# The rate rises over the first steps and falls along a cosine to a share of its peak.
_WARM_UP_STEPS = 10
_LAST_RATE = 0.1
# An item met only as history counts as if half seen.
_UNSEEN_COUNT = 0.5
_UNTOUCHED_SAMPLE = 512
# Lengths that differ by less than this count as the same.
_LENGTH_CLASS = 16
_PHASE = "encoder"


@dataclass(frozen=True, slots=True)
class EncoderPass:
    """How to run over the windows.

    Args:
        epochs: Times each window is seen.
        learning_rate: Peak of AdamW's.
        falling: Whether the rate falls to a tenth towards the end.
    """

    epochs: int
    learning_rate: float = 1e-3
    falling: bool = True


@dataclass(frozen=True, slots=True)
class SoftmaxRows:
    """The table rows a training softmax runs over: padding, every trained item, and a sample that stands for the rest.

    Args:
        rows: [R] int32, ascending.
        log_weights: [R] float32 logarithm of how many items a row stands for.
        places: [all rows] int32 place of a row in `rows`, 0 where it is left out.
    """

    rows: NDArray[np.int32]
    log_weights: NDArray[np.float32]
    places: NDArray[np.int32]


def softmax_rows(trained: NDArray[np.bool_], items: int, rng: np.random.Generator) -> SoftmaxRows:
    """Choose the rows: items that nobody ever touched share one bias, so a few hundred of them tell what all would.

    Args:
        trained: [rows] bool.
        items: Highest item index.
        rng: Draws the sample.
    """
    everything = np.arange(1, items + 1)
    known, unknown = everything[trained[everything]], everything[~trained[everything]]
    drawn = rng.choice(unknown, min(len(unknown), _UNTOUCHED_SAMPLE), replace=False)
    rows = np.sort(np.concatenate([[0], known, drawn])).astype(np.int32)
    weights = np.zeros(len(trained), np.float32)
    if len(drawn):
        weights[drawn] = np.log(len(unknown) / len(drawn))
    places = np.zeros(len(trained), np.int32)
    places[rows] = np.arange(len(rows))
    return SoftmaxRows(rows, weights[rows], places)


class EncoderTrainer:
    """Trains tower and encoder of one network, in as many passes as wanted.

    Its first step takes seconds to trace. Keep it while the network is the same, and tell it of a log that has grown
    with `cover`.

    Args:
        recommender: Network.
        windows: All windows of all passes: their items are in the softmax.
        seed: Draws the untouched items of the softmax.
        weight_decay: Of AdamW.
    """

    def __init__(
        self, recommender: Recommender, windows: Windows, seed: int, weight_decay: float = _WEIGHT_DECAY
    ) -> None:
        self._recommender = recommender
        self._targets = windows.target.shape[1]
        self._step = NextItemStep(recommender, weight_decay)
        self.cover(windows, seed)

    @property
    def optimizer_state(self) -> list[NDArray[np.float32]]:
        """What the optimizer remembers: a trainer of the same network goes on with it."""
        return self._step.optimizer.state

    @optimizer_state.setter
    def optimizer_state(self, arrays: list[NDArray[np.float32]]) -> None:
        self._step.optimizer.state = arrays

    def cover(self, windows: Windows, seed: int) -> None:
        """Take the items of other windows into the softmax.

        Args:
            windows: All windows of all passes from here on, with as many targets each as the first ones.
            seed: Draws the untouched items of the softmax.
        """
        met = np.asarray(self._recommender.tower.trained) > 0
        met[np.unique(windows.target)] = True
        met[np.unique(windows.history)] = True
        self._windows = windows
        self._softmax = softmax_rows(met, self._recommender.config.items, np.random.default_rng(seed))

    def run(self, windows: Windows, how: EncoderPass, seed: int, progress: Progress) -> float:
        """Learn some windows, then bake the catalogue; returns the mean loss of the last epoch.

        Args:
            windows: Their items count as trained from here on.
            how: Epochs and rate.
            seed: Of the order of the windows.
            progress: Called with the phase and the share of steps done, 0 to 1.
        """
        mark_trained(self._recommender, windows)
        rng, batch = np.random.default_rng(seed), self._batch(len(windows))
        total = how.epochs * math.ceil(len(windows) / batch)
        done, losses = 0, list[float]()
        for _ in range(how.epochs):
            losses = []
            for rows in batches_of_like_length(windows, math.ceil(len(windows) / batch), rng):
                rate = how.learning_rate * rate_share(done, total, how.falling)
                part = self._tensors(windows.take(rows).cropped())
                losses.append(float(self._step(self._softmax.rows, self._softmax.log_weights, part, rate)))
                done += 1
                progress(_PHASE, done / total)
        fit_new_items(self._recommender, self._windows)
        return float(np.mean(losses)) if losses else float("nan")

    def _batch(self, windows: int) -> int:
        most = max(_BATCH_TARGETS // self._targets, _LEAST_BATCH)
        return int(np.clip(windows // _STEPS_PER_EPOCH, _LEAST_BATCH, most))

    def _tensors(self, windows: Windows) -> Batch:
        places = self._softmax.places
        return places[windows.history], windows.value, windows.age, windows.ahead, places[windows.target]


def batches_of_like_length(windows: Windows, count: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Return all rows in `count` batches in random order, windows of about the same length together."""
    order = rng.permutation(len(windows))
    classes = (windows.history > 0).sum(axis=1)[order] // _LENGTH_CLASS
    parts = np.array_split(order[np.argsort(classes, kind="stable")], count)
    return [parts[place] for place in rng.permutation(count)]


def rate_share(step: int, steps: int, falling: bool = True) -> float:
    """Return the learning rate of a step as a share of the peak."""
    rising = min((step + 1) / min(_WARM_UP_STEPS, steps), 1.0)
    if not falling:
        return rising
    cosine = 0.5 * (1.0 + math.cos(math.pi * step / steps))
    return rising * (_LAST_RATE + (1.0 - _LAST_RATE) * cosine)


def mark_trained(recommender: Recommender, windows: Windows) -> None:
    """Let the items of the windows have deltas; a new one's bias starts as its share of the targets says."""
    tower = recommender.tower
    counts = np.bincount(windows.target.ravel(), minlength=recommender.config.rows)[: recommender.config.rows]
    met = counts > 0
    met[np.unique(windows.history)] = True
    met[0] = False
    trained = np.asarray(tower.trained) > 0
    bias = np.asarray(tower.bias).copy()
    new = met & ~trained
    bias[new] = np.log(counts[new] + _UNSEEN_COUNT) + _level(bias[trained], counts[trained])
    tower.bias.assign(bias)
    tower.trained.assign((trained | met).astype(np.float32))


def _level(bias: NDArray[np.float32], counts: NDArray[np.int64]) -> float:
    """Return what turns the logarithm of a count into a bias like those of trained items; 0 without any."""
    return float(np.log(np.exp(bias).sum() / (counts.sum() + 1.0))) if len(bias) else 0.0
