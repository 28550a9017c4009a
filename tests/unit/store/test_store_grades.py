import pytest

from millrace.stores.redis.grades import summed
from millrace.stores.redis.values import LiveGrade


def test_grades_are_summed_by_version_and_arm() -> None:
    grades = [
        LiveGrade("v1", "champion", True, 0.5, False, 0.0),
        LiveGrade("v1", "champion", False, 0.0, True, 0.25),
        LiveGrade("v1", "challenger", True, 1.0, True, 1.0),
    ]
    sums = summed(grades)
    assert sums["v1", "champion"] == pytest.approx((2, 1, 0.5, 1, 0.25))
    assert sums["v1", "challenger"] == pytest.approx((1, 1, 1.0, 1, 1.0))
    assert summed([]) == {}
