"""Training the encoder in rounds until held-out events say that it is enough."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.dataset.events import EventTable
from model.dataset.windows import cut_windows
from model.learning.learner import Learner
from model.network.recommender import Recommender
from model.training.encoder import EncoderPass, EncoderTrainer
from model.training.encoder_grade import grade_encoder
from model.training.plan import plan_training
from model.training.progress import Progress

# A round sees about this many targets, so that a small log is not graded after every glance.
_ROUND_TARGETS = 2_000_000
_ROUND_EPOCHS = (1, 5)
# The whole training sees at most this many: what two cores manage within half an hour.
_MOST_TARGETS = 24_000_000
_MOST_EPOCHS = 100
# Rounds without an improvement after which training ends.
_PATIENCE = 2
# The last passes fall from half the rate to nothing.
_LAST_SHARE = 0.5
_LAST_EPOCHS = 2


@dataclass(frozen=True, slots=True)
class Rounds:
    """What came of it.

    Args:
        epochs: Passes at the full rate that were kept, and the last ones.
        gains: Mean gain of the encoder alone on the held-out events after each round.
    """

    epochs: int
    gains: tuple[float, ...]


def train_in_rounds(
    learner: Learner, held_out: EventTable, first: int, rate: float, seed: int, told: Callable[[float], None]
) -> Rounds:
    """Train at a constant rate until the held-out events are ranked no better, then let the rate fall.

    As the first training in service, which holds out the newest part of its log; here the held-out events are known.

    Args:
        learner: Its whole log is what is learned.
        held_out: The log and held-out events behind it.
        first: First held-out row.
        rate: Learning rate.
        seed: Of the order of the windows.
        told: Told the share of the most that may be done.
    """
    recommender, events = learner.recommender, learner.log.table()
    length = recommender.config.length
    windows = cut_windows(events, length, plan_training(events, length).window_targets)
    trainer = EncoderTrainer(recommender, windows, seed)
    epochs = int(np.clip(round(_ROUND_TARGETS / len(events)), *_ROUND_EPOCHS))
    most = int(np.clip(_MOST_TARGETS // (len(events) * epochs), 1, _MOST_EPOCHS // epochs))
    kept, gains = _weights(recommender), list[float]()
    for number in range(most):
        how = EncoderPass(epochs, rate, falling=False)
        trainer.run(windows, how, seed + number, _part(told, number, most + 1))
        gains.append(grade_encoder(recommender, held_out, first).gain)
        if gains[-1] == max(gains):
            kept = _weights(recommender)
        elif len(gains) - 1 - int(np.argmax(gains)) >= _PATIENCE:
            break
    for weight, value in zip(recommender.weights, kept, strict=True):
        weight.assign(value)
    trainer.run(windows, EncoderPass(_LAST_EPOCHS, rate * _LAST_SHARE), seed, _part(told, most, most + 1))
    learner.encoder_learned()
    return Rounds((int(np.argmax(gains)) + 1) * epochs + _LAST_EPOCHS, tuple(gains))


def _weights(recommender: Recommender) -> list[NDArray[np.float32]]:
    return [np.array(weight) for weight in recommender.weights]


def _part(told: Callable[[float], None], number: int, parts: int) -> Progress:
    return lambda _, share: told((number + share) / parts)
