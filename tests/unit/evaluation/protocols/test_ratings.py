import pytest
from rich.console import Console

from millrace.kernel.errors import ConfigurationError
from millrace.model.evaluation.options import EvaluateOptions
from millrace.model.evaluation.protocols import ratings
from millrace.model.rating.error_metrics import CalibrationBin, RatingErrors
from millrace.model.rating.offline_evaluation import RatingReport


def test_both_files_have_to_be_given() -> None:
    with pytest.raises(ConfigurationError, match="--train FILE and --test FILE"):
        ratings.run(EvaluateOptions(protocol="ratings"), Console())


def test_the_report_compares_with_user_and_item_bias() -> None:
    found = RatingReport(
        errors=RatingErrors(0.9, 0.7),
        baselines={"global_mean": RatingErrors(1.2, 1.0), "user_item_bias": RatingErrors(1.0, 0.8)},
        calibration=[CalibrationBin(predicted=3.0, given=3.1, ratings=7)],
        train_ratings=80,
        test_ratings=20,
        used=("times",),
        seconds=1.0,
    )
    figures = ratings.report_of(found, seed=0).as_json()
    assert figures["rmse"] == 0.9
    assert figures["rmse_below_user_item_bias"] == pytest.approx(0.1)
    assert figures["baselines"]["user_item_bias"] == {"rmse": 1.0, "mae": 0.8}
    assert "10.0% below" in figures["remarks"][0]
