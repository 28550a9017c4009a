"""The sizes of a training run, derived from the amount of data."""

from dataclasses import dataclass

import numpy as np

from millrace.model.dataset.event_table import EventTable
from millrace.model.network.config import DEFAULT_LENGTH
from millrace.model.training.encoder_trainer import EncoderPass

# Targets of a run, about: a small log gets more passes, a large one fewer.
_ENCODER_TARGETS = 150_000
_ENCODER_EPOCHS = (2, 20)
_SHORT_TARGETS = 10


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """The sizes of one run.

    Args:
        window_targets: S, targets of an encoder window.
        first: Encoder's pass over a log it has never seen, where nothing is held out to count passes.
        refresh: Encoder's pass over new windows and as many old ones.
    """

    window_targets: int
    first: EncoderPass
    refresh: EncoderPass


def plan_training(events: EventTable, length: int = DEFAULT_LENGTH) -> TrainingPlan:
    """Return the sizes for a log and an encoder that reads `length` history entries."""
    epochs = int(np.clip(round(_ENCODER_TARGETS / max(len(events), 1)), *_ENCODER_EPOCHS))
    return TrainingPlan(
        window_targets=_window_targets(events, length),
        first=EncoderPass(epochs, learning_rate=2e-3),
        refresh=EncoderPass(epochs=5, learning_rate=5e-4),
    )


def _window_targets(events: EventTable, length: int) -> int:
    """Return the targets per window: few where most users have few events, since padding would dominate."""
    counts = np.bincount(events.users)
    many = max(length // 2, 1)
    return many if np.median(counts[counts > 0]) >= many else min(_SHORT_TARGETS, many)
