"""Training the encoder: full softmax over the catalogue, all targets of a window at once."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.dataset.windows import Windows
from model.network.backend import keras, ops
from model.network.recommender import Recommender
from model.training.progress import Progress
from model.training.steps import Fitter

_WEIGHT_DECAY = 0.01
# A small log needs steps more than it needs large batches.
_STEPS_PER_EPOCH = 40
_BATCH_WINDOWS = (2, 32)
# An item met only as history counts as if half seen.
_UNSEEN_COUNT = 0.5
_UNTOUCHED_SAMPLE = 512


@dataclass(frozen=True, slots=True)
class EncoderPass:
    """How to run over the windows.

    Args:
        epochs: Times each window is seen.
        learning_rate: Peak of AdamW's.
    """

    epochs: int
    learning_rate: float = 1e-3


class _NextItem(keras.Model):  # type: ignore[misc]
    """Logits [B, S, R] of the next item after each of the last S slots, over the rows of a softmax.

    Args:
        recommender: Network to train.
        softmax: The rows and their weights.
        targets: S.
    """

    def __init__(self, recommender: Recommender, softmax: "SoftmaxRows", targets: int) -> None:
        super().__init__(name="next_item")
        # Only what this loss reaches: Keras warns of weights without a gradient.
        self.tower, self.encoder = recommender.tower, recommender.encoder
        self.rows = ops.convert_to_tensor(softmax.rows)
        self.log_weights = ops.convert_to_tensor(softmax.log_weights)
        self.targets = targets

    def build(self, input_shape: Any) -> None:
        """Do nothing: the layers come built."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the logits of a batch of (history, value, age, ahead)."""
        history, value, age, ahead = inputs
        vectors, bias = self.tower(self.rows, training=training)
        heard = ops.take(vectors, history, axis=0)
        hidden = self.encoder(history, heard, value, age, ahead, queries=self.targets, training=training)
        flat = ops.reshape(hidden, (-1, self.tower.config.width))
        logits = ops.matmul(flat, ops.transpose(vectors)) + bias + self.log_weights
        return ops.reshape(logits, (-1, self.targets, self.rows.shape[0]))


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

    Args:
        recommender: Network.
        windows: All windows of all passes: their items are in the softmax.
        seed: Draws the untouched items of the softmax.
    """

    def __init__(self, recommender: Recommender, windows: Windows, seed: int) -> None:
        self._recommender = recommender
        met = np.asarray(recommender.tower.trained) > 0
        met[np.unique(windows.target)] = True
        met[np.unique(windows.history)] = True
        self._softmax = softmax_rows(met, recommender.config.items, np.random.default_rng(seed))
        model = _NextItem(recommender, self._softmax, windows.target.shape[1])
        self._fitter = Fitter(model, _WEIGHT_DECAY, "encoder")

    def run(self, windows: Windows, how: EncoderPass, seed: int, progress: Progress) -> float:
        """Learn some windows, then bake the catalogue; returns the mean loss of the last epoch.

        Args:
            windows: Their items count as trained from here on.
            how: Epochs and rate.
            seed: Of the order of the windows.
            progress: Told the share of steps done.
        """
        mark_trained(self._recommender, windows)
        places = self._softmax.places
        loss = self._fitter.fit(
            (places[windows.history], windows.value, windows.age, windows.ahead),
            places[windows.target],
            (windows.target > 0).astype(np.float32),
            how.epochs,
            how.learning_rate,
            int(np.clip(len(windows) // _STEPS_PER_EPOCH, *_BATCH_WINDOWS)),
            seed,
            progress,
        )
        self._recommender.bake()
        return loss


def mark_trained(recommender: Recommender, windows: Windows) -> None:
    """Let the items of the windows have deltas; a new one's bias starts at the logarithm of its count."""
    tower = recommender.tower
    counts = np.bincount(windows.target.ravel(), minlength=recommender.config.rows)[: recommender.config.rows]
    met = counts > 0
    met[np.unique(windows.history)] = True
    met[0] = False
    trained = np.asarray(tower.trained) > 0
    bias = np.asarray(tower.bias).copy()
    new = met & ~trained
    bias[new] = np.log(counts[new] + _UNSEEN_COUNT)
    tower.bias.assign(bias)
    tower.trained.assign((trained | met).astype(np.float32))
