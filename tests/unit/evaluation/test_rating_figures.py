import numpy as np
import pytest

from millrace.model.evaluation.grading import graded_events
from millrace.model.evaluation.report.intervals import UserBootstrap
from millrace.model.evaluation.report.rating_figures import GlobalMean, calibration, compare, predicted_first
from millrace.model.evaluation.split import Split
from tests.unit.evaluation.plain_system import small_stream

STREAM = small_stream()
SPLIT = Split.of(len(STREAM.events))
GRADED = graded_events(STREAM.events, SPLIT)


def test_predictions_come_before_their_events() -> None:
    values = [event.value for event in STREAM.events]
    expected = [np.mean(values[:row]) for row in GRADED.rows.tolist()]
    assert predicted_first(STREAM.events, GRADED, {"mean": GlobalMean()})["mean"] == pytest.approx(expected)


def test_errors_on_the_events_that_were_predicted() -> None:
    rng = np.random.default_rng(1)
    predicted = rng.uniform(1, 5, len(GRADED)).astype(np.float32)
    predicted[::3] = np.nan
    known = np.isfinite(predicted)
    flat = np.full(len(GRADED), 3.0, np.float32)
    bootstrap = UserBootstrap(GRADED.users, 1)
    figures = compare(predicted, flat, flat + 1, GRADED, SPLIT.stop, bootstrap)
    assert figures is not None
    errors = predicted[known] - GRADED.values[known]
    assert (figures.events, figures.rmse, figures.mae) == (
        known.sum(),
        pytest.approx(np.sqrt(np.mean(errors**2))),
        pytest.approx(np.mean(np.abs(errors))),
    )
    bias = np.sqrt(np.mean((3.0 - GRADED.values[known]) ** 2))
    assert figures.user_item_bias.rmse == pytest.approx(bias)
    assert figures.rmse_below_user_item_bias == pytest.approx(1 - figures.rmse / bias)
    assert figures.intervals["rmse"][0] < figures.rmse < figures.intervals["rmse"][1]


def test_the_last_tenth_is_by_rows_of_the_stream() -> None:
    predicted = np.where(GRADED.rows >= 0.9 * SPLIT.stop, GRADED.values, 0.0).astype(np.float32)
    figures = compare(predicted, predicted + 1, predicted + 1, GRADED, SPLIT.stop, UserBootstrap(GRADED.users, 1))
    assert figures is not None
    assert figures.rmse > 1.0
    assert figures.last_tenth is not None
    assert (figures.last_tenth.rmse, figures.last_tenth.user_item_bias.rmse) == (0.0, 1.0)
    assert figures.last_tenth.events == sum(row >= 360 for row in GRADED.rows.tolist())


def test_without_predictions_there_is_nothing_to_compare() -> None:
    nothing = np.full(len(GRADED), np.nan, np.float32)
    assert compare(nothing, nothing, nothing, GRADED, SPLIT.stop, UserBootstrap(GRADED.users, 1)) is None


def test_calibration_bins_hold_equally_many() -> None:
    predicted = np.linspace(1, 5, 100).astype(np.float32)
    bins = calibration(predicted, (predicted / 2).astype(np.float32))
    assert [one.events for one in bins] == [10] * 10
    assert [one.actual for one in bins] == pytest.approx([one.predicted / 2 for one in bins])
