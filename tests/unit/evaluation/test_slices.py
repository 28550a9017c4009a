import numpy as np
import pytest

from millrace.model.evaluation.grading import graded_events
from millrace.model.evaluation.outcomes import GradedEvents
from millrace.model.evaluation.report import slices
from millrace.model.evaluation.report.slices import Slicing
from millrace.model.evaluation.split import Split
from millrace.streams.statistics.popularity import HISTORY_BUCKET_BOUNDS
from tests.unit.evaluation.plain_system import small_stream

STREAM = small_stream()
GRADED = graded_events(STREAM.events, Split.of(len(STREAM.events)))


def graded(**columns: object) -> GradedEvents:
    """Return graded events with some columns replaced."""
    length = len(next(iter(columns.values())))  # type: ignore[call-overload]
    values = {
        "rows": np.arange(length),
        "users": np.zeros(length, np.int32),
        "items": np.ones(length, np.int32),
        "values": np.ones(length, np.float32),
        "ts_ms": np.arange(length),
        "history_lengths": np.ones(length, np.int32),
        "gaps_s": np.ones(length),
        "item_counts": np.ones(length, np.int32),
        "user_ids": ("u",),
    }
    return GradedEvents(**{**values, **columns})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "cut",
    [
        slices.by_history_length(GRADED),
        slices.first_events(GRADED),
        slices.by_gap(GRADED),
        slices.by_activity(GRADED),
        slices.by_gender(GRADED, STREAM.users),
        slices.by_age(GRADED, STREAM.users),
    ],
    ids=lambda cut: cut.by,
)
def test_the_groups_of_a_cut_are_the_whole(cut: Slicing) -> None:
    assert len(cut.groups) > 1
    assert (sum(mask.astype(int) for mask in cut.groups.values()) == 1).all()


def test_each_genre_of_an_item_counts() -> None:
    cut = slices.by_genre(GRADED, STREAM.catalogue)
    for place, item in enumerate(GRADED.items.tolist()):
        genres = STREAM.catalogue.item(item).genres  # type: ignore[union-attr]
        assert {name for name, mask in cut.groups.items() if mask[place]} == set(genres)


@pytest.mark.parametrize(
    ("length", "label"),
    [(0, "0"), (1, "1-2"), (2, "1-2"), (3, "3-5"), (60, "26-60"), (61, "61-120"), (250, "121-250"), (251, "over 250")],
)
def test_history_lengths(length: int, label: str) -> None:
    groups = slices.by_history_length(graded(history_lengths=np.array([length]))).groups
    assert [name for name, mask in groups.items() if mask[0]] == [label]
    assert len(groups) == len(HISTORY_BUCKET_BOUNDS) + 1


@pytest.mark.parametrize(
    ("before", "label"), [(0, "1st"), (1, "2nd-5th"), (4, "2nd-5th"), (5, "6th-10th"), (19, "11th-20th"), (20, "later")]
)
def test_first_events(before: int, label: str) -> None:
    groups = slices.first_events(graded(history_lengths=np.array([before]))).groups
    assert [name for name, mask in groups.items() if mask[0]] == [label]


@pytest.mark.parametrize(
    ("gap_s", "label"),
    [(np.inf, "first event"), (0.0, "up to 10 s"), (10.0, "up to 10 s"), (11.0, "up to 2 min"), (1e7, "over 7 d")],
)
def test_gaps(gap_s: float, label: str) -> None:
    groups = slices.by_gap(graded(gaps_s=np.array([gap_s]))).groups
    assert [name for name, mask in groups.items() if mask[0]] == [label]


def test_fifths_of_the_users_not_of_the_events() -> None:
    users = np.repeat(np.arange(10, dtype=np.int32), np.arange(1, 11))
    groups = slices.by_activity(graded(users=users)).groups
    assert list(groups) == ["1-2", "3-4", "5-6", "7-8", "9-10"]
    assert [len(np.unique(users[mask])) for mask in groups.values()] == [2, 2, 2, 2, 2]


def test_users_of_one_size_are_one_group() -> None:
    assert list(slices.by_activity(graded(users=np.repeat(np.arange(4, dtype=np.int32), 3))).groups) == ["3"]


def test_unknown_users_are_in_no_group() -> None:
    assert slices.by_gender(GRADED, {}).groups == {}
    assert slices.by_age(GRADED, {}).groups == {}
