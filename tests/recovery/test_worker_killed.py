"""A worker killed before each of its steps loses nothing and repeats nothing in the state."""

from pathlib import Path

import pytest
from recovery_checks import ITEMS, check_lists, check_state
from recovery_harness import DEADLINE_S, KILLED, Role, Stores, publish_events, wait_until

from millrace.kernel.settings import Settings
from millrace.runtime.crash import VARIABLE

EVENTS = 200

# Before steps 1 to 7, and after the last one, before the events are acknowledged to Faust.
STEPS = ("decode", "read", "plan", "commit", "lists", "publish", "finish", "ack")


@pytest.mark.services
@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_nothing_is_lost_or_applied_twice(step: str, bare_settings: Settings, tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    published = publish_events(bare_settings, EVENTS)
    stores = Stores(bare_settings)
    stores.seed_items(ITEMS)
    with Role("worker", bare_settings, log, **{VARIABLE: f"{step}:4"}) as worker:
        assert worker.process.wait(DEADLINE_S) == KILLED, log.read_text()[-4000:]
    assert not stores.done("worker", published.ends)
    with Role("worker", bare_settings, log) as worker:
        wait_until(lambda: stores.done("worker", published.ends), "everything is done", log)
        assert worker.stop() == 0
    check_state(stores, published)
    check_lists(bare_settings, published)
