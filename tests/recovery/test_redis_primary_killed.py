"""A primary of a Redis Cluster dies under load: its replica takes over, and users and watermarks stay consistent."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import redis
from local_servers import running_redis_cluster
from recovery_checks import ITEMS, check_lists, check_state
from recovery_harness import Role, Stores, own_settings, publish_events, wait_until

from millrace.apps.stacks.redis_cluster import PRIMARIES, RedisCluster
from millrace.kernel.keys import Keys
from millrace.kernel.settings import Settings
from millrace.kernel.topic_admin import ensure_topics

# Minutes on a machine that is busy with something else, where Kafka alone takes two to start.
pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(1500)]

DEADLINE_S = 300.0
PARTITIONS = 4
EVENTS = 150


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[RedisCluster]:
    with running_redis_cluster(tmp_path, ready_s=120) as made:
        yield made


@pytest.fixture
def settings(cluster: RedisCluster, local_kafka: str, tmp_path: Path) -> Settings:
    sizes = {"topic_partitions": PARTITIONS, "max_batch_events": 16}
    quick = {"kafka_fetch_wait_ms": 10, "statistics_flush_ms": 50}
    made = own_settings(tmp_path, local_kafka, cluster.url, **sizes, **quick)
    ensure_topics(made)
    return made


def holder(cluster: RedisCluster, key: str) -> int:
    """Return which of the nodes holds a key."""
    with redis.RedisCluster.from_url(f"redis://127.0.0.1:{cluster.nodes[0].port}") as client:
        port = client.get_node_from_key(key).port
    return [node.port for node in cluster.nodes].index(port)


def taken_over(cluster: RedisCluster, victim: int) -> bool:
    """Whether all living nodes see as many primaries as before without the victim."""
    living = [node.port for number, node in enumerate(cluster.nodes) if number != victim]
    return all(len(seen := primaries(port)) == PRIMARIES and seen <= set(living) for port in living)


def primaries(port: int) -> set[int]:
    """Return the ports of the primaries that a node believes to be alive."""
    with redis.Redis("127.0.0.1", port) as client:
        nodes = client.execute_command("CLUSTER NODES")
    return {
        int(address.rsplit(":", 1)[1])
        for address, node in nodes.items()
        if "master" in node["flags"] and "fail" not in node["flags"]
    }


def test_nothing_is_lost_or_applied_twice(cluster: RedisCluster, settings: Settings, tmp_path: Path) -> None:
    log, stores = tmp_path / "roles.log", Stores(settings)
    stores.seed_items(ITEMS)
    published = publish_events(settings, EVENTS)
    with Role("worker", settings, log), Role("statistics", settings, log):
        for role in ("worker", "statistics"):
            wait_until(partial(stores.done, role, published.ends), f"the {role} is done", log, DEADLINE_S)
        # The node of a partition's users, not the first one: that is where this test's own clients begin.
        victim = next(
            number
            for partition in range(PARTITIONS)
            if (number := holder(cluster, Keys.of(settings).in_partition(partition).counters)) > 0
        )
        assert victim < PRIMARIES
        published = publish_events(settings, EVENTS, EVENTS, published)
        child = cluster.nodes[victim].child
        assert child is not None
        child.kill()
        published = publish_events(settings, EVENTS, 2 * EVENTS, published)
        # Until then redis-py, asked for a client of the whole cluster, leaves connections open that nobody can close.
        wait_until(partial(taken_over, cluster, victim), "the replica takes over", log, DEADLINE_S)
        for role in ("worker", "statistics"):
            wait_until(partial(stores.done, role, published.ends), f"the {role} goes on", log, DEADLINE_S)
    check_state(stores, published)
    check_lists(settings, published)
    scalars, _ = stores.statistics()
    assert int(scalars["clock"]) == sum(count for count, _, _ in published.expected().values())
