"""Six Redis nodes make a cluster, keep it over a restart, and go on without a primary."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from redis.exceptions import RedisError
from waiting import until

from millrace.apps.stacks.redis_cluster import PRIMARIES, RedisCluster
from millrace.apps.stacks.service import wait_ready

pytestmark = pytest.mark.services

KEYS = 100
DEADLINE_S = 60.0


@contextmanager
def running(folder: Path) -> Iterator[RedisCluster]:
    cluster = RedisCluster(folder, folder / "data")
    cluster.prepare()
    try:
        for node in cluster.nodes:
            node.start()
        wait_ready(cluster.nodes, timeout_s=60)
        cluster.form()
        yield cluster
    finally:
        for node in cluster.nodes:
            node.stop()


@contextmanager
def client(cluster: RedisCluster) -> Iterator["redis.RedisCluster[bytes]"]:
    connected = redis.RedisCluster(host="127.0.0.1", port=cluster.nodes[0].port)
    try:
        yield connected
    finally:
        connected.close()


def all_there(cluster: RedisCluster) -> bool:
    try:
        with client(cluster) as connected:
            return all(connected.get(f"key{number}") == b"kept" for number in range(KEYS))
    except RedisError:
        return False


def test_a_cluster_keeps_its_data_and_replaces_a_primary(tmp_path: Path) -> None:
    with running(tmp_path) as cluster:
        with client(cluster) as connected:
            for number in range(KEYS):
                connected.set(f"key{number}", "kept")
            assert len(connected.get_primaries()) == len(connected.get_replicas()) == PRIMARIES
            # Two replicas may be a moment behind; a kill right now could lose what only the primary has.
            assert connected.wait(1, 5000, target_nodes=redis.RedisCluster.PRIMARIES)
        victim = cluster.nodes[1]
        assert victim.child is not None
        victim.child.kill()
        until(lambda: all_there(cluster), "a replica takes over")
        victim.start()
        until(victim.ready, "the former primary answers")
    with running(tmp_path) as again:
        assert all_there(again)
