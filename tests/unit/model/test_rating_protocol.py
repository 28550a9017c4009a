"""Ratings in a training and a test file."""

from pathlib import Path

import numpy as np
import pytest

from millrace.kernel.errors import ConfigurationError
from millrace.model.rating.error_metrics import calibration, calibration_error, errors_of
from millrace.model.rating.offline_evaluation import evaluate_ratings
from millrace.model.rating.rating_files import read_ratings
from millrace.model.rating.side_information import _places


def written(folder: Path, separator: str = "\t", times: bool = True) -> tuple[Path, Path]:
    """A training and a test file of 40 users who like or dislike one half of 30 items."""
    rng = np.random.default_rng(0)
    lines: tuple[list[str], list[str]] = ([], [])
    for user in range(1, 41):
        for item in range(1, 31):
            if rng.random() < 0.6:
                value = int(np.clip(round(3 + (1 if (user + item) % 2 else -1) + rng.normal(0, 0.5)), 1, 5))
                fields = [user, item, value, 880_000_000 + 60 * item]
                lines[rng.random() < 0.2].append(separator.join(map(str, fields if times else fields[:3])))
    paths = folder / "u1.base", folder / "u1.test"
    for path, text in zip(paths, lines, strict=True):
        path.write_text("\n".join(text) + "\n", encoding="latin-1")
    return paths


@pytest.mark.parametrize("separator", ["\t", " ", ",", "::"])
def test_lines_are_read_with_each_separator(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "ratings"
    path.write_text(separator.join(["7", "b", "3.5", "99"]) + "\n\n", encoding="latin-1")
    ratings = read_ratings(path)
    assert (ratings.users, ratings.items, ratings.values.tolist()) == (["7"], ["b"], [3.5])
    assert ratings.ts_s is not None
    assert ratings.ts_s.tolist() == [99.0]


def test_a_header_is_left_out_and_times_are_none_unless_all_lines_have_them(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text("userId,movieId,rating,timestamp\n1,2,3.0,4\n1,3,5.0\n", encoding="latin-1")
    ratings = read_ratings(path)
    assert ratings.values.tolist() == [3.0, 5.0]
    assert ratings.ts_s is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1\t2\t3\n1\t2\n", r"Line 2 of .*ratings is broken: expected a user, an item, a rating .* got '1\\t2'"),
        ("1 2 3\n1 2 good\n", "Line 2 of .* got '1 2 good'"),
        ("1 2 3\n1 2 nan\n", "Line 2 of .* got '1 2 nan'"),
        ("\n", "holds no ratings"),
    ],
)
def test_a_broken_file_is_told_in_one_sentence(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "ratings"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ConfigurationError, match=told):
        read_ratings(path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent cannot be read: No such file"):
        evaluate_ratings(tmp_path / "absent", tmp_path / "absent")


def test_what_lies_beside_is_used_and_the_report_repeats(tmp_path: Path) -> None:
    train, test = written(tmp_path)
    (tmp_path / "u.item").write_text(
        "".join(f"{item}|T (1990)|||u|" + "|".join("01"[item % 2] * 19) + "\n" for item in range(1, 31)),
        encoding="latin-1",
    )
    (tmp_path / "u.user").write_text(
        "".join(f"{user}|{20 + user}|{'MF'[user % 2]}|writer|1\n" for user in range(1, 41)), encoding="latin-1"
    )
    report = evaluate_ratings(train, test, samples=30)
    assert report.used == ("times", "items", "users")
    assert report.train_ratings > report.test_ratings > 50
    assert report.baselines.keys() == {"global_mean", "user_item_bias", "matrix_factorisation"}
    assert report.errors.rmse < 0.8 * report.baselines["user_item_bias"].rmse
    assert sum(one.ratings for one in report.calibration) == report.test_ratings
    again = evaluate_ratings(train, test, samples=30)
    assert (again.errors, again.baselines, again.calibration) == (report.errors, report.baselines, report.calibration)


def test_ratings_without_times_or_anything_beside_are_enough(tmp_path: Path) -> None:
    report = evaluate_ratings(*written(tmp_path, ",", times=False), samples=30)
    assert report.used == ()
    assert report.errors.rmse < 0.9 * report.baselines["user_item_bias"].rmse


def test_test_ratings_themselves_are_not_used(tmp_path: Path) -> None:
    train, test = written(tmp_path)
    before = evaluate_ratings(train, test, samples=20)
    flipped = [line.split("\t") for line in test.read_text(encoding="latin-1").splitlines()]
    test.write_text("".join("\t".join([u, i, str(6 - int(v)), t]) + "\n" for u, i, v, t in flipped), encoding="latin-1")
    after = evaluate_ratings(train, test, samples=20)
    assert [one.predicted for one in before.calibration] == pytest.approx([one.predicted for one in after.calibration])
    assert before.errors != after.errors


def test_a_rating_asked_for_lies_between_the_known_ones_around_its_time() -> None:
    users = np.array([0, 0, 0, 1, 0, 0, 1])
    times = np.array([10.0, 20.0, 30.0, 5.0, 25.0, 20.0, 1.0])
    assert _places(users, times, 4).tolist() == [0.5, 1.5, 2.5, 0.5, 2.0, 1.5, 0.0]


def test_errors_and_calibration_of_a_known_case() -> None:
    given, predicted = np.array([1.0, 2.0, 4.0, 5.0]), np.array([2.0, 2.0, 4.0, 4.0])
    assert errors_of(given, predicted).rmse == pytest.approx(np.sqrt(0.5))
    assert errors_of(given, predicted).mae == pytest.approx(0.5)
    bins = calibration(given, predicted, bins=2)
    assert [(one.predicted, one.given, one.ratings) for one in bins] == [(2.0, 1.5, 2), (4.0, 4.5, 2)]
    assert calibration_error(bins) == pytest.approx(0.5)
    assert np.isnan(errors_of(np.empty(0), np.empty(0)).rmse)
    assert np.isnan(calibration_error(calibration(np.empty(0), np.empty(0))))
