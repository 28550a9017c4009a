"""Training the encoder in rounds until held-out events say that it is enough."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from model.dataset.events import EventTable
from model.dataset.windows import cut_windows
from model.learning.learner import Learner
from model.training.encoder import EncoderPass, EncoderTrainer
from model.training.encoder_grade import grade_encoder
from model.training.plan import plan_training

# A round sees about this many targets, so that a small log is not graded after every glance.
_ROUND_TARGETS = 2_000_000
_ROUND_EPOCHS = (1, 5)
# The whole training sees at most this many: what two cores manage within half an hour.
_MOST_TARGETS = 24_000_000
_MOST_EPOCHS = 100
# Rounds without an improvement after which training ends.
_PATIENCE = 2


@dataclass(frozen=True, slots=True)
class Rounds:
    """What came of it.

    Args:
        epochs: Passes of the weights that were kept.
        ndcg: Of the encoder alone on the held-out events after each round.
    """

    epochs: int
    ndcg: tuple[float, ...]


def train_in_rounds(
    learner: Learner, held_out: EventTable, first: int, rate: float, seed: int, told: Callable[[float], None]
) -> Rounds:
    """Train the encoder of a learner on its whole log; the weights of the best round are kept.

    Args:
        learner: Its log is what is learned.
        held_out: The log and held-out events behind it.
        first: First held-out row.
        rate: Peak learning rate of the first round; later ones start lower.
        seed: Of the order of the windows.
        told: Told the share of the most that may be done.
    """
    recommender, events = learner.recommender, learner.log.table()
    targets = plan_training(events).window_targets
    windows = cut_windows(events, recommender.config.length, targets)
    trainer = EncoderTrainer(recommender, windows, seed)
    epochs = int(np.clip(round(_ROUND_TARGETS / len(events)), *_ROUND_EPOCHS))
    most = int(np.clip(_MOST_TARGETS // (len(events) * epochs), 1, _MOST_EPOCHS // epochs))
    graded: list[float] = []
    kept = [np.array(weight) for weight in recommender.weights]
    for number in range(most):
        # A second round at the full rate would undo part of the first.
        how = EncoderPass(epochs, rate / (1.0 + number / 2.0))
        trainer.run(windows, how, seed + number, lambda _, share, done=number: told((done + share) / most))  # type: ignore[misc]
        graded.append(grade_encoder(recommender, held_out, first).ndcg)
        if graded[-1] == max(graded):
            kept = [np.array(weight) for weight in recommender.weights]
        elif len(graded) - 1 - int(np.argmax(graded)) >= _PATIENCE:
            break
    for weight, value in zip(recommender.weights, kept, strict=True):
        weight.assign(value)
    learner.encoder_learned()
    return Rounds((int(np.argmax(graded)) + 1) * epochs, tuple(graded))
