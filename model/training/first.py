"""The first training of the encoder: as many passes as held-out events ask for."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.dataset.events import EventTable
from model.dataset.windows import Windows, cut_windows
from model.network.recommender import Recommender
from model.training.encoder import EncoderPass, EncoderTrainer
from model.training.encoder_grade import grade_encoder
from model.training.progress import Progress

# The newest part of the log, held out while passes are counted; the last pass learns it too.
_HELD_OUT_SHARE = 0.1
_MOST_GRADED = 3_000
# A round sees about this many targets, so that a small log is not graded after every glance; but few passes, since a
# small log is soon learned by heart.
_ROUND_TARGETS = 60_000
_ROUND_EPOCHS = (1, 4)
_MOST_ROUNDS = 12
# What all rounds see together at most: about six minutes of one core. Of a log too long even for a few rounds the
# newest windows are learned: older events change little.
_MOST_TARGETS = 4_000_000
_LEAST_ROUNDS = 4
_PATIENCE = 2
# The last pass falls from half the rate to nothing over all events, held-out ones included.
_LAST_SHARE = 0.5
_LAST_EPOCHS = 2


@dataclass(frozen=True, slots=True)
class FirstTraining:
    """What came of it.

    Args:
        epochs: Passes over the log before the last ones.
        gains: Mean gain of the encoder alone on held-out events after each round.
    """

    epochs: int
    gains: tuple[float, ...]


def train_first(
    recommender: Recommender,
    trainer: EncoderTrainer,
    events: EventTable,
    windows: Windows,
    rate: float,
    seed: int,
    progress: Progress,
) -> FirstTraining:
    """Train at a constant rate until held-out events are ranked no better, then let the rate fall over all events.

    Args:
        recommender: Network of the trainer.
        trainer: Covers the windows.
        events: The log.
        windows: Of the whole log.
        rate: Learning rate of AdamW.
        seed: Of the order of the windows.
        progress: Told the share of the most that may be done.
    """
    first = len(events) - round(len(events) * _HELD_OUT_SHARE)
    older = _newest(cut_windows(events.head(first), recommender.config.length, windows.target.shape[1]))
    targets = max(int((older.target > 0).sum()), 1)
    epochs = int(np.clip(round(_ROUND_TARGETS / targets), *_ROUND_EPOCHS))
    rounds = int(np.clip(_MOST_TARGETS // (epochs * targets), _LEAST_ROUNDS, _MOST_ROUNDS))
    kept, gains = _weights(recommender), list[float]()
    for number in range(rounds):
        trainer.run(older, EncoderPass(epochs, rate, falling=False), seed + number, _part(progress, number, rounds))
        gains.append(grade_encoder(recommender, events, first, most=_MOST_GRADED).gain)
        if gains[-1] == max(gains):
            kept = _weights(recommender)
        elif len(gains) - 1 - int(np.argmax(gains)) >= _PATIENCE:
            break
    for weight, value in zip(recommender.weights, kept, strict=True):
        weight.assign(value)
    last = EncoderPass(_LAST_EPOCHS, rate * _LAST_SHARE)
    trainer.run(_newest(windows), last, seed, _part(progress, rounds, rounds))
    return FirstTraining((int(np.argmax(gains)) + 1) * epochs, tuple(gains))


def _weights(recommender: Recommender) -> list[NDArray[np.float32]]:
    return [np.array(weight) for weight in recommender.weights]


def _newest(windows: Windows) -> Windows:
    """Return the newest windows, as many as a few rounds have time for."""
    most = _MOST_TARGETS // (_LEAST_ROUNDS * windows.target.shape[1])
    return windows.take(np.sort(np.argsort(-windows.newest, kind="stable")[:most]))


def _part(progress: Progress, number: int, rounds: int) -> Progress:
    return lambda phase, share: progress(phase, (number + share) / (rounds + 1))
