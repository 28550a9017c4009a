"""Ratings given as a training and a test file: how far predictions are off, beside baselines."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from millrace.model.rating.error_metrics import CalibrationBin, RatingErrors, calibration, errors_of
from millrace.model.rating.factorisation import RatingFactorisation
from millrace.model.rating.gibbs import Ratings, sample_predictions
from millrace.model.rating.rating_files import RatingFile, read_items_beside, read_ratings, read_users_beside
from millrace.model.rating.side_information import item_features, moods_of, user_features

_BURN_IN = 60
_SAMPLES = 300
_RANK = 16


@dataclass(frozen=True, slots=True)
class RatingReport:
    """Errors on the test file.

    Args:
        errors: Of the system.
        baselines: Name -> errors of `global_mean`, `user_item_bias` and `matrix_factorisation`.
        calibration: Mean rating by prediction, ten bins.
        train_ratings: Lines of the training file.
        test_ratings: Lines of the test file.
        used: What was known besides the ratings: some of `times`, `items`, `users`.
        seconds: Of everything.
    """

    errors: RatingErrors
    baselines: dict[str, RatingErrors]
    calibration: list[CalibrationBin]
    train_ratings: int
    test_ratings: int
    used: tuple[str, ...]
    seconds: float


def evaluate_ratings(
    train_path: str | Path, test_path: str | Path, seed: int = 0, samples: int = _SAMPLES
) -> RatingReport:
    """Learn one file and predict the ratings of the other.

    The system is a Bayesian factorisation with side information: who rated what in the training file, genres and years
    (movies file beside), demographics (users file beside), and moods where both files have times. A test rating's own
    time is used, its rating and the other test lines are not.

    Args:
        train_path: Lines "user item rating [time]".
        test_path: Likewise.
        seed: Of everything random.
        samples: Of the sampler, without those thrown away at its start.

    Raises:
        ConfigurationError: A file cannot be read, is empty, or has a broken line.
    """
    began = time.perf_counter()
    train_path, test_path = Path(train_path), Path(test_path)
    train, test = read_ratings(train_path), read_ratings(test_path)
    users, items = _Numbers(train.users, test.users), _Numbers(train.items, test.items)
    ratings = Ratings(users.first, items.first, train.values, users.second, items.second)
    catalogue, facts = read_items_beside(train_path), read_users_beside(train_path)
    timed = train.ts_s is not None and test.ts_s is not None
    bounds = float(train.values.min()), float(train.values.max())
    predicted = sample_predictions(
        ratings,
        user_features(ratings, users.names, items.names, facts, seed),
        item_features(ratings, users.names, items.names, catalogue, seed),
        moods_of(ratings, train.ts_s, test.ts_s) if train.ts_s is not None and test.ts_s is not None else [],
        rank=_RANK,
        burn_in=_BURN_IN,
        samples=samples,
        seed=seed,
        bounds=bounds,
    )
    known = {"times": timed, "items": bool(catalogue), "users": bool(facts)}
    return RatingReport(
        errors=errors_of(test.values, predicted),
        baselines=_baselines(ratings, test, bounds, seed),
        calibration=calibration(test.values, predicted),
        train_ratings=len(train.values),
        test_ratings=len(test.values),
        used=tuple(name for name, there in known.items() if there),
        seconds=time.perf_counter() - began,
    )


class _Numbers:
    """Ids of both files as numbers from 0.

    Args:
        first: Ids of the training file.
        second: Ids of the test file.
    """

    def __init__(self, first: list[str], second: list[str]) -> None:
        self.names = list(dict.fromkeys([*first, *second]))
        number = {name: place for place, name in enumerate(self.names)}
        self.first: NDArray[np.int64] = np.array([number[name] for name in first], np.int64)
        self.second: NDArray[np.int64] = np.array([number[name] for name in second], np.int64)


def _baselines(ratings: Ratings, test: RatingFile, bounds: tuple[float, float], seed: int) -> dict[str, RatingErrors]:
    mean = np.full(len(test.values), ratings.values.mean())
    predicted = {"global_mean": mean}
    for name, rank in (("user_item_bias", 0), ("matrix_factorisation", _RANK)):
        model = RatingFactorisation(rank, seed=seed).fit(ratings.users, ratings.items, ratings.values)
        predicted[name] = np.clip(model.predict(ratings.asked_users, ratings.asked_items), *bounds)
    return {name: errors_of(test.values, values) for name, values in predicted.items()}
