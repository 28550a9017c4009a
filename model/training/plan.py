"""How much work a training run does; everything follows from the amount of data."""

from dataclasses import dataclass

import numpy as np

from model.dataset.events import EventTable
from model.training.encoder import EncoderPass

# Encoder: about this many targets in total, so that a small log is seen often and a large one is seen in time.
_ENCODER_TARGETS = 150_000
_ENCODER_EPOCHS = (2, 20)
_TARGETS_LONG, _TARGETS_SHORT = 25, 10


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """The sizes of one run.

    Args:
        window_targets: S, targets of an encoder window.
        first: Encoder's pass over a log it has never seen.
    """

    window_targets: int
    first: EncoderPass


def plan_training(events: EventTable) -> TrainingPlan:
    """Return the sizes for a log."""
    epochs = int(np.clip(round(_ENCODER_TARGETS / max(len(events), 1)), *_ENCODER_EPOCHS))
    return TrainingPlan(_window_targets(events), EncoderPass(epochs, learning_rate=2e-3))


def _window_targets(events: EventTable) -> int:
    """Return the targets of a window: few where most users have few events, or windows would be mostly padding."""
    counts = np.bincount(events.users)
    return _TARGETS_LONG if np.median(counts[counts > 0]) >= _TARGETS_LONG else _TARGETS_SHORT
