"""Which events of a backlog get no list."""

from millrace.kernel.contracts import ActivityEvent
from millrace.kernel.errors import PoisonError, Reason
from millrace.runtime.records import Decoded, SourceRecord
from millrace.streams.worker.overload import LATE, SUPERSEDED, ListPolicy

NOW_MS = 1_700_000_000_000


def decoded(user: str | None, offset: int, age_ms: int = 0) -> Decoded:
    record = SourceRecord("events", 0, offset, NOW_MS - age_ms, None, None)
    if user is None:
        return Decoded(record, None, PoisonError(Reason.INVALID_JSON, "broken"))
    event = ActivityEvent(event_id=str(offset), user_id=user, item_id="i", type="view", ts_ms=1)
    return Decoded(record, event)


def test_only_the_newest_event_of_each_user_gets_a_list() -> None:
    batch = [decoded(user, n) for n, user in enumerate(["a", "b", "a", None, "a", "c"])]
    assert ListPolicy(1, 1000).left_out(batch, NOW_MS) == {0: SUPERSEDED, 2: SUPERSEDED}


def test_late_events_get_none() -> None:
    batch = [decoded("a", 0, age_ms=1001), decoded("b", 1, age_ms=1000), decoded("c", 2, age_ms=-5000)]
    assert ListPolicy(1, 1000).left_out(batch, NOW_MS) == {0: LATE}


def test_a_broken_record_supersedes_nothing() -> None:
    assert ListPolicy(1, 1000).left_out([decoded("a", 0), decoded(None, 1)], NOW_MS) == {}


def test_a_backlog_is_more_than_the_number_says_and_never_with_0() -> None:
    assert [ListPolicy(10, 0).is_backlog(waiting) for waiting in (0, 10, 11)] == [False, False, True]
    assert not ListPolicy(0, 0).is_backlog(1_000_000)
