"""Where a partition goes on, and when that is impossible."""

import logging

import pytest

from millrace.kernel.errors import FatalError
from millrace.runtime.resume import resume_position


@pytest.mark.parametrize(
    ("done", "first", "end", "expected"),
    [
        (-1, 0, 0, 0),  # nothing handled, nothing there
        (-1, 0, 10, 0),  # offset 0 is an offset, not "none"
        (0, 0, 10, 1),
        (9, 0, 10, 10),  # everything handled
        (-1, 4, 10, 4),  # the topic began before this installation
    ],
)
def test_goes_on_after_the_last_record_handled(done: int, first: int, end: int, expected: int) -> None:
    assert resume_position("events", 0, done, first, end, "worker") == expected


def test_a_watermark_beyond_the_end_is_fatal_and_names_the_command() -> None:
    with pytest.raises(FatalError, match=r"up to offset 10, but the topic ends at 10.*millrace rebuild"):
        resume_position("events", 0, 10, 0, 10, "worker")


def test_records_lost_to_retention_are_reported_loudly(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        assert resume_position("events", 2, 3, 7, 10, "worker") == 7
    assert "removed 3 records" in caplog.text
