"""Error and calibration of predicted ratings."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_BINS = 10


@dataclass(frozen=True, slots=True)
class RatingErrors:
    """Errors in stars.

    Args:
        rmse: Root mean squared error.
        mae: Mean absolute error.
    """

    rmse: float
    mae: float


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Ratings with similar predictions.

    Args:
        predicted: Mean prediction.
        given: Mean rating.
        ratings: Number of ratings.
    """

    predicted: float
    given: float
    ratings: int


def errors_of(given: NDArray[np.float64], predicted: NDArray[np.float64]) -> RatingErrors:
    """Return the errors of predictions; NaN if there are none.

    Args:
        given: [N] ratings.
        predicted: [N] predicted ratings.
    """
    if not len(given):
        return RatingErrors(float("nan"), float("nan"))
    gaps = predicted - given
    return RatingErrors(float(np.sqrt(np.mean(np.square(gaps)))), float(np.mean(np.abs(gaps))))


def calibration(given: NDArray[np.float64], predicted: NDArray[np.float64], bins: int = _BINS) -> list[CalibrationBin]:
    """Return bins of equally many predictions, lowest first.

    Args:
        given: [N] ratings.
        predicted: [N] predicted ratings.
        bins: Most bins to return.
    """
    parts = np.array_split(np.argsort(predicted, kind="stable"), bins)
    return [
        CalibrationBin(float(predicted[part].mean()), float(given[part].mean()), len(part))
        for part in parts
        if len(part)
    ]


def calibration_error(bins: list[CalibrationBin]) -> float:
    """Return the mean distance of the bins from the diagonal, in stars, weighted by ratings; NaN without bins."""
    total = sum(one.ratings for one in bins)
    return sum(abs(one.predicted - one.given) * one.ratings for one in bins) / total if total else float("nan")
