"""Telling how far training is."""

from collections.abc import Callable
from typing import Any

# Called with a phase and the share of it that is done, 0 to 1.
Progress = Callable[[str, float], None]


def told(progress: Progress, phase: str, steps: int) -> Any:
    """Return a Keras callback that reports after every step."""
    from model.network.backend import keras

    done = 0

    def step(*_: Any, **__: Any) -> None:
        nonlocal done
        done += 1
        progress(phase, min(done / steps, 1.0))

    return keras.callbacks.LambdaCallback(on_train_batch_end=step)


def silent(phase: str, share: float) -> None:
    """Tell nobody."""
