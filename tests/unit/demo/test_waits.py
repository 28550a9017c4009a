"""Where a stream stops until a version serves."""

from types import SimpleNamespace
from typing import Any

from millrace.apps.demo.run import _until_wait

TOTAL = 100


def yielded(published: int, lists_of: int, awaited: int) -> int:
    """Return how many events go out before the stream stops."""
    monitor: Any = SimpleNamespace(published=published, total=TOTAL, first_list_ms=dict.fromkeys(range(lists_of)))
    events: Any = iter(range(TOTAL))
    return sum(1 for _ in _until_wait(events, monitor, awaited))


def test_a_stream_stops_where_a_version_is_missing() -> None:
    assert yielded(0, lists_of=0, awaited=0) == 45
    assert yielded(0, lists_of=1, awaited=0) == 90
    assert yielded(0, lists_of=2, awaited=0) == TOTAL


def test_a_stream_goes_on_after_a_wait_although_no_list_was_made_meanwhile() -> None:
    assert yielded(45, lists_of=0, awaited=1) == 45
    assert yielded(90, lists_of=1, awaited=2) == 10
