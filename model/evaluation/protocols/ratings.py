"""Predicted ratings of a test file, learned from a training file."""

from dataclasses import asdict
from typing import Any

from rich.console import Console

from millrace.kernel.errors import ConfigurationError
from millrace.model.evaluation.options import EvaluateOptions
from millrace.model.evaluation.protocols.tables import FigureTable, TablesReport
from millrace.model.rating.error_metrics import CalibrationBin, RatingErrors
from millrace.model.rating.offline_evaluation import RatingReport, evaluate_ratings

NAME = "ratings"
_BIAS = "user_item_bias"


def run(options: EvaluateOptions, console: Console) -> TablesReport:
    """Learn one file and predict the other.

    Args:
        options: `train` and `test` name the files.
        console: Says what is being done.

    Raises:
        ConfigurationError: A file is missing or cannot be used.
    """
    if options.train is None or options.test is None:
        raise ConfigurationError(
            "The ratings protocol needs --train FILE and --test FILE with lines 'user item rating'."
        )
    with console.status("Learning the ratings"):
        found = evaluate_ratings(options.train, options.test, options.seed)
    return report_of(found, options.seed)


def report_of(found: RatingReport, seed: int) -> TablesReport:
    """Return the figures as they are written and shown."""
    bias = found.baselines[_BIAS].rmse
    below = 1.0 - found.errors.rmse / bias if bias else 0.0
    figures: dict[str, Any] = {
        **asdict(found.errors),
        "baselines": {name: asdict(one) for name, one in found.baselines.items()},
        "rmse_below_user_item_bias": below,
        "calibration": [asdict(one) for one in found.calibration],
        "train_ratings": found.train_ratings,
        "test_ratings": found.test_ratings,
        "used": list(found.used),
        "seconds": found.seconds,
        "seed": seed,
    }
    known = ", ".join(found.used) or "nothing"
    remarks = (
        f"The RMSE is {below:.1%} below that of user and item bias.",
        f"Known besides users, items and ratings of the training file: {known}.",
    )
    return TablesReport(NAME, figures, (_errors(found), _calibration(found.calibration)), remarks)


def _errors(found: RatingReport) -> FigureTable:
    systems: dict[str, RatingErrors] = {"millrace": found.errors, **found.baselines}
    rows = tuple((name, f"{one.rmse:.4f}", f"{one.mae:.4f}") for name, one in systems.items())
    title = f"{found.test_ratings:,} ratings predicted from {found.train_ratings:,}"
    return FigureTable(title, ("", "RMSE", "MAE"), rows)


def _calibration(bins: list[CalibrationBin]) -> FigureTable:
    rows = tuple((str(number), f"{one.predicted:.2f}", f"{one.given:.2f}") for number, one in enumerate(bins, start=1))
    return FigureTable(
        "Tenths by prediction: do predictions mean what they say?", ("tenth", "predicted", "given"), rows
    )
