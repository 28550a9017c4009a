"""How well the rating of the next item was predicted, before it was known."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.user_state import ResolvedEvent
from millrace.model.evaluation.outcomes import GradedEvents
from millrace.model.evaluation.report.figures import (
    CalibrationFigures,
    ErrorFigures,
    PredictedRatings,
    RatingComparison,
)
from millrace.model.evaluation.report.intervals import UserBootstrap
from millrace.model.rating import error_metrics

CALIBRATION_BINS = 10
# Part of the stream, by time, whose ratings are graded a second time by themselves.
LAST_SHARE = 0.1
_MIDDLE_RATING = 3.0

Ratings = NDArray[np.float32]


class RatingModel(Protocol):
    """Predicts a rating and learns one at a time."""

    def predict(self, user_id: str, item: int, /) -> float:
        """Return the expected rating, 0.5 to 5."""
        ...

    def learn(self, user_id: str, item: int, value: float, /) -> None:
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


def calibration(predicted: Ratings, actual: Ratings, bins: int = CALIBRATION_BINS) -> list[CalibrationFigures]:
    """Return bins of equally many events, by predicted rating; events without a prediction are left out."""
    known = np.isfinite(predicted)
    groups = error_metrics.calibration(actual[known].astype(np.float64), predicted[known].astype(np.float64), bins)
    return [CalibrationFigures(events=one.ratings, predicted=one.predicted, actual=one.given) for one in groups]


def compare(
    predicted: Ratings, bias: Ratings, mean: Ratings, graded: GradedEvents, stop: int, bootstrap: UserBootstrap
) -> PredictedRatings | None:
    """Return the errors of predicted ratings beside those of user+item bias and the global mean.

    Args:
        predicted: [E] by the system; NaN where it predicted nothing.
        bias: [E] by user+item bias.
        mean: [E] by the global mean.
        graded: The E graded events.
        stop: One past the last row of the stream that was read.
        bootstrap: Of the E events.

    Returns:
        The comparison on the events that have a predicted rating; None without any.
    """
    known = np.isfinite(predicted)
    columns = (predicted, bias, mean)
    whole = _comparison(columns, graded.values, known, bootstrap)
    if whole is None:
        return None
    return PredictedRatings(
        **whole.model_dump(),
        last_tenth=_comparison(columns, graded.values, known & last_part(graded, stop), bootstrap),
        calibration=calibration(predicted, graded.values),
    )


def _comparison(
    columns: tuple[Ratings, Ratings, Ratings], actual: Ratings, mask: NDArray[np.bool_], bootstrap: UserBootstrap
) -> RatingComparison | None:
    if not mask.any():
        return None
    ours, bias, mean = (errors_of(column[mask], actual[mask]) for column in columns)
    gaps = np.where(mask, columns[0] - actual, 0.0).astype(np.float64)
    (rmse,) = bootstrap.root_means([gaps**2], mask)
    (mae,) = bootstrap.intervals([np.abs(gaps)], mask)
    return RatingComparison(
        events=int(mask.sum()),
        rmse=ours.rmse,
        mae=ours.mae,
        intervals={"rmse": rmse, "mae": mae},
        user_item_bias=bias,
        global_mean=mean,
        rmse_below_user_item_bias=1.0 - ours.rmse / bias.rmse,
    )


def errors_of(predicted: Ratings, actual: Ratings) -> ErrorFigures:
    """Return the root mean squared and the mean absolute error."""
    found = error_metrics.errors_of(actual.astype(np.float64), predicted.astype(np.float64))
    return ErrorFigures(rmse=found.rmse, mae=found.mae)
