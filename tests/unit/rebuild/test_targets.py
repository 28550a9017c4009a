"""Up to where each role's part is recomputed."""

import pytest

from millrace.kernel.errors import TransientError
from millrace.streams.rebuild.targets import Target, target_of

ENDS = {0: 100, 1: 50, 2: 7}


def test_a_role_that_runs_keeps_its_watermarks_wherever_the_log_ends() -> None:
    target = target_of({0: 90, 1: 60, 5: -1}, ENDS, running=True)
    assert target == Target({0: 90, 1: 60, 5: -1})
    assert [target.of(each, state) for each, state in ((0, 95), (1, 61), (5, 3))] == [95, 61, 3]


def test_a_role_that_rests_keeps_those_that_the_log_reaches() -> None:
    # 0: behind the log; 1: ahead of it; 2: not begun; 3: of a partition that is no more; 4: not begun, nothing logged.
    target = target_of({0: 90, 1: 60, 2: -1, 3: 9, 4: -1}, ENDS, running=False)
    assert target.begins == {1: 50, 2: 7, 3: -1, 4: -1}
    assert target.until == {0: 90, 1: 50, 2: 7, 3: -1, 4: -1}
    assert target.of(0, 90) == 90
    assert (target.of(1, 60), target.of(2, -1)) == (50, 7)


def test_after_redis_was_lost_everything_begins_at_the_logs_end() -> None:
    assert target_of({}, ENDS, running=False) == Target({}, ENDS)


def test_somebody_who_begins_meanwhile_is_noticed() -> None:
    target = target_of({2: -1}, ENDS, running=False)
    with pytest.raises(TransientError, match="Partition 2 was taken up"):
        target.of(2, 0)
