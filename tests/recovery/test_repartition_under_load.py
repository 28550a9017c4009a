"""A topic that grows on a real Kafka: new partitions wait, the old ones are worked off, and no event is lost."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from recovery_checks import ITEMS, check_lists, check_state
from recovery_harness import Role, Stores, own_settings, publish_events, wait_until

from millrace.kernel.settings import Settings
from millrace.kernel.topic_admin import ensure_topics, grow_topic

# Minutes on a machine that is busy with something else, where Kafka alone takes two to start.
pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(1500)]

# Workers start in seconds; on a machine that is busy with something else it may take each a minute.
DEADLINE_S = 300.0

OLD, NEW = 3, 6
EVENTS = 120


@pytest.fixture(params=["redis_server", "redis_cluster"])
def settings(request: pytest.FixtureRequest, local_kafka: str, tmp_path: Path) -> Settings:
    sizes = {"kafka_fetch_wait_ms": 10, "topic_partitions": OLD, "max_batch_events": 16}
    made = own_settings(tmp_path, local_kafka, request.getfixturevalue(request.param), **sizes)
    ensure_topics(made)
    return made


def repartition(settings: Settings) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-P", "-m", "millrace", "repartition", "--partitions", str(NEW)],
        env={**os.environ, **settings.environment(), "COLUMNS": "400"},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def test_a_topic_grows_and_nothing_is_lost(settings: Settings, tmp_path: Path) -> None:
    log, stores = tmp_path / "worker.log", Stores(settings)
    stores.seed_items(ITEMS)
    published = publish_events(settings, EVENTS)
    with Role("worker", settings, log) as worker:
        wait_until(lambda: stores.done("worker", published.ends), "the first events are done", log, DEADLINE_S)
        refused = repartition(settings)
        assert refused.returncode == 1
        assert "while worker run" in refused.stderr
        assert worker.stop() == 0

    wait_until(lambda: not stores.heartbeats(), "the worker is forgotten", log, DEADLINE_S)
    # It grows while events are waiting, and more come, some of them of known users in new partitions.
    published = publish_events(settings, EVENTS, EVENTS, published)
    refused = repartition(settings)
    assert refused.returncode == 1
    assert f"The worker has {EVENTS} events of the old partitions to handle yet" in refused.stderr
    grow_topic(settings, settings.topics.events, NEW)
    published = publish_events(settings, EVENTS, 2 * EVENTS, published)
    old_ends = {partition: end for partition, end in published.ends.items() if partition < OLD}
    assert set(published.ends) - set(old_ends), "some events are in new partitions"
    with Role("worker", settings, log) as worker:
        wait_until(lambda: stores.done("worker", old_ends), "the old partitions are done", log, DEADLINE_S)
        assert not stores.done("worker", published.ends)
        wait_until(
            lambda: any("millrace repartition" in str(beat["waiting_for"]) for beat in stores.heartbeats()),
            "it says what it waits for",
            log,
            DEADLINE_S,
        )
        assert worker.stop() == 0
    wait_until(lambda: not stores.heartbeats(), "the worker is forgotten", log, DEADLINE_S)
    done = repartition(settings)
    assert done.returncode == 0, done.stderr
    assert f"has {NEW} partitions (users were laid out for {OLD})" in done.stderr

    grown = settings.model_copy(update={"topic_partitions": NEW})
    with Role("worker", grown, log) as worker:
        wait_until(lambda: Stores(grown).done("worker", published.ends), "everything is done", log, DEADLINE_S)
        assert worker.stop() == 0
    check_state(Stores(grown), published)
    check_lists(grown, published)
