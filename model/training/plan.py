"""How much work a training run does; everything follows from the amount of data."""

from dataclasses import dataclass

import numpy as np

from model.dataset.events import EventTable
from model.training.encoder import EncoderPass
from model.training.ranker import RankerPass

# The newest part of the log teaches the ranker; its newest quarter grades the version before it is learned.
_RANKER_SHARE = 0.2
_RANKER_MIN_EVENTS = 1_000
_RANKER_MAX_EVENTS = 15_000
_RANKER_MAX_SAMPLES = 7_000
_GRADED_SHARE = 0.25
# Encoder: about this many targets in total, so that a small log is seen often and a large one is seen in time.
_ENCODER_TARGETS = 150_000
_ENCODER_EPOCHS = (2, 20)
# Older events change little; beyond this many the log is cut.
_ENCODER_MAX_EVENTS = 400_000
_TARGETS_LONG, _TARGETS_SHORT = 25, 10


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """The sizes of one run.

    Args:
        ranker_from: First log row that the ranker learns from; the encoder that scores it has not seen it.
        samples: Most samples of the ranker.
        graded_share: Newest share of the samples that grades the version before it is learned.
        window_targets: S, targets of an encoder window.
        encoder_from: First log row the encoder learns.
        first: Encoder's pass over what lies before `ranker_from`; None for a warm start.
        last: Encoder's pass over what lies after it, and as much from before.
        fusion_epochs: Of the linear fusion.
        ranker: Fit of the whole ranker.
        finish: Ranker's pass over the graded samples.
    """

    ranker_from: int
    samples: int
    graded_share: float
    window_targets: int
    encoder_from: int
    first: EncoderPass | None
    last: EncoderPass
    fusion_epochs: int
    ranker: RankerPass
    finish: RankerPass


def plan_training(events: EventTable, new_from: int, warm: bool) -> TrainingPlan:
    """Return the sizes for a log.

    Args:
        events: The log.
        new_from: First row that the parent has not learned.
        warm: Whether there is a parent.
    """
    count = len(events)
    share = int(np.clip(count * _RANKER_SHARE, _RANKER_MIN_EVENTS, _RANKER_MAX_EVENTS))
    newest = count - min(share, count // 2)
    ranker_from = max(min(new_from, count - _RANKER_MIN_EVENTS), count - _RANKER_MAX_EVENTS, 0) if warm else newest
    epochs = int(np.clip(round(_ENCODER_TARGETS / max(ranker_from, 1)), *_ENCODER_EPOCHS))
    return TrainingPlan(
        ranker_from=ranker_from,
        samples=_RANKER_MAX_SAMPLES,
        graded_share=_GRADED_SHARE,
        window_targets=_window_targets(events),
        encoder_from=max(count - _ENCODER_MAX_EVENTS, 0),
        first=None if warm else EncoderPass(epochs, learning_rate=2e-3),
        last=EncoderPass(epochs=2, learning_rate=5e-4),
        fusion_epochs=4,
        ranker=RankerPass(epochs=4, learning_rate=1e-3),
        finish=RankerPass(epochs=1, learning_rate=1e-3),
    )


def _window_targets(events: EventTable) -> int:
    """Return the targets of a window: few where most users have few events, or windows would be mostly padding."""
    counts = np.bincount(events.users)
    return _TARGETS_LONG if np.median(counts[counts > 0]) >= _TARGETS_LONG else _TARGETS_SHORT
