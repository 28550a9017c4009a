"""The whole path on real Kafka and Cassandra, with the log writer killed on the way."""

from contextlib import closing
from pathlib import Path

import pytest
from recovery_checks import ITEMS, check_lists, check_state
from recovery_harness import Published, Role, Stores, own_settings, publish_events, wait_until

from millrace.kernel.settings import Settings
from millrace.kernel.topic_admin import ensure_topics
from millrace.stores.event_log import EventLog, open_event_log

EVENTS = 600


@pytest.fixture
def local_settings(local_kafka: str, cassandra: str, redis_server: str, tmp_path: Path) -> Settings:
    """Return settings of real servers, with topics of this test's own."""
    servers = {"stack": "local", "event_log": cassandra}
    settings = own_settings(
        tmp_path, local_kafka, redis_server, **servers, kafka_session_timeout_ms=6000, statistics_flush_ms=50
    )
    assert ensure_topics(settings) == []
    return settings


def check_log(log: EventLog, published: Published) -> None:
    """Every valid event is logged under its coordinates, once, and only broken records leave gaps."""
    logged = [(each.partition, each.offset, each.event.event_id) for page in log.read({}) for each in page]
    assert sorted(logged) == sorted((*place, event["event_id"]) for place, event in published.events.items())
    assert log.count() == len(published.events)
    missing = sum(last - first + 1 for ranges in log.gaps().values() for first, last in ranges)
    behind = sum(end - 1 - log.end()[partition] for partition, end in published.ends.items())
    assert missing + behind == published.broken
    for user in {event["user_id"] for event in published.events.values()}:
        mine = [place for place, event in published.events.items() if event["user_id"] == user]
        history = log.user_history(user, limit=EVENTS * 2)
        assert sorted((each.partition, each.offset) for each in history) == sorted(mine)


@pytest.mark.services
@pytest.mark.slow
def test_events_become_lists_and_all_are_logged_though_the_log_writer_is_killed(
    local_settings: Settings, tmp_path: Path
) -> None:
    output = tmp_path / "roles.log"
    stores = Stores(local_settings)
    stores.seed_items(ITEMS)
    published = publish_events(local_settings, EVENTS)
    with closing(open_event_log(local_settings)) as log, Role("worker", local_settings, output) as worker:
        with Role("statistics", local_settings, output) as keeper:
            with Role("log-writer", local_settings, output) as writer:
                wait_until(lambda: log.count() > 0, "the first events are logged", output)
                writer.process.kill()
                writer.process.wait()
            published = publish_events(local_settings, EVENTS, start=EVENTS, earlier=published)
            with Role("log-writer", local_settings, output) as writer:
                for role in ("worker", "statistics"):
                    wait_until(lambda role=role: stores.done(role, published.ends), f"{role} is done", output)
                wait_until(lambda: log.count() == len(published.events), "everything is logged", output)
                assert writer.stop() == 0
            assert keeper.stop() == 0
        assert worker.stop() == 0
        check_log(log, published)
    check_state(stores, published)
    check_lists(local_settings, published)
