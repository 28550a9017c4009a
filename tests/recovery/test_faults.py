"""Every kind of fault once, on one running system under load; `make recovery` tries each ten times."""

import os
import random
from collections.abc import Iterator

import pytest
from local_servers import REQUIRE

from millrace.kernel.errors import FatalError
from millrace.load_tests.recovery.faults import KINDS, UntriedError, trials_of
from millrace.load_tests.recovery.trial import Trials

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(900)]

RECORDS_PER_S = 60.0


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trials]:
    """Return a running system; its seed is part of the folder's name, which a failure shows."""
    seed = random.randrange(1_000_000)
    home = tmp_path_factory.mktemp(f"faults-seed-{seed}-")
    running = Trials(home, seed, RECORDS_PER_S)
    try:
        running.__enter__()
    except FatalError as error:
        skip_or_fail(f"the local stack could not start: {error}")
    try:
        yield running
    finally:
        running.__exit__(None, None, None)


def skip_or_fail(why: str) -> None:
    if os.environ.get(REQUIRE) == "1":
        pytest.fail(f"required ({REQUIRE}=1), but {why}", pytrace=False)
    pytest.skip(f"NOT TESTED, {why}")


@pytest.mark.parametrize("kinds", trials_of(list(KINDS)), ids="+".join)
def test_nothing_is_lost_and_nothing_counts_twice(kinds: tuple[str, ...], trials: Trials) -> None:
    try:
        result = trials.run(kinds)
    except UntriedError as error:
        skip_or_fail(str(error))
        return
    assert result.findings.clean, (trials.seed, result.findings)


def test_the_log_says_what_redis_holds(trials: Trials) -> None:
    trials.look()
    assert trials.verify() == [], trials.seed
