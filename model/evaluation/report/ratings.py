"""How well the rating of the next item was predicted, before it was known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model.evaluation.outcomes import GradedEvents
from streams.users import ResolvedEvent

CALIBRATION_BINS = 10
# Part of the stream, by time, whose ratings are graded a second time by themselves.
LAST_SHARE = 0.1
_MIDDLE_RATING = 3.0

Ratings = NDArray[np.float32]


class RatingModel(Protocol):
    """Predicts a rating and learns one at a time."""

    def predict(self, user_id: str, item: int) -> float:
        """Return the expected rating, 0.5 to 5."""
        ...

    def learn(self, user_id: str, item: int, value: float) -> None:
        """Learn a rating."""
        ...


class GlobalMean:
    """The mean of all ratings so far, for everyone and everything."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._count = 0

    def predict(self, user_id: str, item: int) -> float:
        """Return the mean."""
        return self._sum / self._count if self._count else _MIDDLE_RATING

    def learn(self, user_id: str, item: int, value: float) -> None:
        """Take a rating into the mean."""
        self._sum += value
        self._count += 1


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Events with about the same predicted rating.

    Args:
        events: How many.
        predicted: Mean predicted rating.
        actual: Mean rating given.
    """

    events: int
    predicted: float
    actual: float


def predicted_first(
    events: Sequence[ResolvedEvent], graded: GradedEvents, models: Mapping[str, RatingModel]
) -> dict[str, Ratings]:
    """Return [E] predictions of each model for the graded events, each made before its event was learned."""
    rows = set(graded.rows.tolist())
    stop = int(graded.rows[-1]) + 1 if len(graded) else 0
    predicted: dict[str, list[float]] = {name: [] for name in models}
    for row, event in enumerate(events[:stop]):
        for name, model in models.items():
            if row in rows:
                predicted[name].append(model.predict(event.user_id, event.item))
            model.learn(event.user_id, event.item, event.value)
    return {name: np.array(values, np.float32) for name, values in predicted.items()}


def last_part(graded: GradedEvents, stop: int) -> NDArray[np.bool_]:
    """Return [E] whether an event is in the last tenth, by time, of the stream up to `stop`."""
    return np.asarray(graded.rows >= round((1.0 - LAST_SHARE) * stop))


def calibration(predicted: Ratings, actual: Ratings, bins: int = CALIBRATION_BINS) -> list[CalibrationBin]:
    """Return bins of equally many events, by predicted rating; events without a prediction are left out."""
    known = np.isfinite(predicted)
    predicted, actual = predicted[known], actual[known]
    order = np.argsort(predicted, kind="stable")
    return [
        CalibrationBin(len(part), float(predicted[part].mean()), float(actual[part].mean()))
        for part in np.array_split(order, min(bins, len(order)) or 1)
        if len(part)
    ]
