"""The first training of the encoder, with early stopping on held-out events."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from millrace.model.dataset.event_table import EventTable
from millrace.model.dataset.windows import Windows, cut_windows
from millrace.model.network.recommender import Recommender
from millrace.model.training.encoder_grade import grade_encoder
from millrace.model.training.encoder_trainer import EncoderPass, EncoderTrainer
from millrace.model.training.progress import Progress

# The newest part of the log, held out while passes are counted; the last pass learns it too.
_HELD_OUT_SHARE = 0.1
_MOST_GRADED = 3_000
_PATIENCE = 2
# The last pass falls from half the rate to nothing over all events, held-out ones included.
_LAST_SHARE = 0.5
_LAST_EPOCHS = 2


@dataclass(frozen=True, slots=True)
class Effort:
    """The budget of a first training.

    Args:
        round_targets: Targets per round, about; keeps a small log from being graded after every short pass.
        round_epochs: Fewest and most passes per round; the upper bound limits overfitting of a small log.
        most_targets: Most targets of all rounds together.
        most_epochs: Most passes of all rounds together.
        least_rounds: Fewest rounds; if the log is too long for them, only its newest windows are learned.
    """

    round_targets: int
    round_epochs: tuple[int, int]
    most_targets: int
    most_epochs: int
    least_rounds: int

    def rounds(self, targets: int) -> tuple[int, int]:
        """Return the passes per round and the most rounds for a number of targets."""
        epochs = int(np.clip(round(self.round_targets / targets), *self.round_epochs))
        rounds = min(self.most_targets // (epochs * targets), self.most_epochs // epochs)
        return epochs, max(rounds, self.least_rounds)


# Beside a stream: about six minutes of one core.
IN_SERVICE = Effort(60_000, (1, 4), 4_000_000, 48, 4)
# With the time of an offline protocol: about forty minutes of two cores.
OFFLINE = Effort(2_000_000, (1, 5), 32_000_000, 100, 1)


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Held-out events for early stopping.

    Args:
        events: The log, followed by the held-out events.
        first: First held-out row.
        most: Most events to grade; None grades all.
    """

    events: EventTable
    first: int
    most: int | None = None


@dataclass(frozen=True, slots=True)
class FirstTraining:
    """The result of a first training.

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
    held_out: HeldOut | None = None,
) -> FirstTraining:
    """Train at a constant rate until held-out events are ranked no better, then decay the rate over all events.

    Args:
        recommender: The network of the trainer.
        trainer: Its softmax covers the items of the windows.
        events: The log.
        windows: Windows of the whole log.
        rate: Learning rate of AdamW.
        seed: Seed of the window order.
        progress: Called with the phase and the share of the most rounds, 0 to 1.
        held_out: Events from outside the log, trained for with the OFFLINE budget; None holds out the log's newest.
    """
    effort, older = OFFLINE, windows
    if held_out is None:
        effort, first = IN_SERVICE, len(events) - round(len(events) * _HELD_OUT_SHARE)
        held_out = HeldOut(events, first, _MOST_GRADED)
        older = cut_windows(events.head(first), recommender.config.length, windows.target.shape[1])
    older = _newest(older, effort)
    epochs, rounds = effort.rounds(max(int((older.target > 0).sum()), 1))
    kept, gains = _weights(recommender), list[float]()
    for number in range(rounds):
        trainer.run(older, EncoderPass(epochs, rate, falling=False), seed + number, _part(progress, number, rounds))
        gains.append(grade_encoder(recommender, held_out.events, held_out.first, most=held_out.most).gain)
        if gains[-1] == max(gains):
            kept = _weights(recommender)
        elif len(gains) - 1 - int(np.argmax(gains)) >= _PATIENCE:
            break
    for weight, value in zip(recommender.weights, kept, strict=True):
        weight.assign(value)
    last = EncoderPass(_LAST_EPOCHS, rate * _LAST_SHARE)
    trainer.run(_newest(windows, effort), last, seed, _part(progress, rounds, rounds))
    return FirstTraining((int(np.argmax(gains)) + 1) * epochs, tuple(gains))


def _weights(recommender: Recommender) -> list[NDArray[np.float32]]:
    return [np.array(weight) for weight in recommender.weights]


def _newest(windows: Windows, effort: Effort) -> Windows:
    """Return the newest windows that fit into the fewest rounds."""
    most = effort.most_targets // (effort.least_rounds * windows.target.shape[1])
    return windows.take(np.sort(np.argsort(-windows.newest, kind="stable")[:most]))


def _part(progress: Progress, number: int, rounds: int) -> Progress:
    return lambda phase, share: progress(phase, (number + share) / (rounds + 1))
