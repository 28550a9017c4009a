"""A Keras model that is compiled once and fitted several times, with a rate that falls along a cosine each time."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from millrace.model.backend import keras
from millrace.model.training.progress import Progress

# Share of the peak learning rate at the end.
_LAST_RATE = 0.1
# Gradient norms beyond this come from a few odd samples.
_CLIP_NORM = 1.0


class Fitter:
    """Fits a model again and again; tracing its graph costs seconds, so that is done once.

    Args:
        model: Called with a tuple of arrays, returns logits.
        weight_decay: Weight decay of AdamW.
        phase: Phase name passed to `progress`.
    """

    def __init__(self, model: Any, weight_decay: float, phase: str) -> None:
        self._model = model
        self._phase = phase
        # Set before every step; Keras only wants to know that it may change.
        self._optimizer = keras.optimizers.AdamW(1e-3, weight_decay=weight_decay, clipnorm=_CLIP_NORM)
        # Compiling with XLA was measured on two cores: no faster per step, 7 s slower to start.
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(self._optimizer, loss, jit_compile=False)

    def fit(
        self,
        inputs: Sequence[NDArray[Any]],
        targets: NDArray[np.int32],
        weights: NDArray[np.float32],
        epochs: int,
        rate: float,
        batch: int,
        seed: int,
        progress: Progress,
    ) -> float:
        """Fit the model to the samples and return the mean loss of the last epoch.

        Args:
            inputs: Arrays with samples along the first axis.
            targets: Class of each sample (or of each of its slots).
            weights: Weight of each target.
            epochs: Passes over the samples.
            rate: Peak learning rate.
            batch: Samples per step.
            seed: Seed of the sample order.
            progress: Called with the phase and the share of steps done, 0 to 1.
        """
        keras.utils.set_random_seed(seed)
        rows = _filled_up(len(targets), batch, np.random.default_rng(seed))
        steps = epochs * len(rows) // batch
        done = self._model.fit(
            tuple(array[rows] for array in inputs),
            targets[rows],
            sample_weight=weights[rows],
            batch_size=batch,
            epochs=epochs,
            verbose=0,
            callbacks=[self._callback(rate, steps, progress)],
        )
        return float(done.history["loss"][-1])

    def _callback(self, rate: float, steps: int, progress: Progress) -> Any:
        done = 0

        def begin(*_: Any, **__: Any) -> None:
            falling = 0.5 * (1.0 + math.cos(math.pi * done / steps))
            self._optimizer.learning_rate = rate * (_LAST_RATE + (1.0 - _LAST_RATE) * falling)

        def end(*_: Any, **__: Any) -> None:
            nonlocal done
            done += 1
            progress(self._phase, done / steps)

        return keras.callbacks.LambdaCallback(on_train_batch_begin=begin, on_train_batch_end=end)


def _filled_up(count: int, batch: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return all samples, some of them twice, so that every batch is full: a smaller batch would be retraced."""
    return np.concatenate([np.arange(count), rng.integers(0, count, -count % batch)])
