"""A Cassandra that was started on a full disk starts again once there is room."""

from pathlib import Path

import pytest
from local_servers import JVM_OPTIONS, started

from millrace.apps.stacks.cassandra_server import CassandraServer
from millrace.apps.stacks.service import wait_ready

pytestmark = [pytest.mark.services, pytest.mark.slow]

_READY_S = 90.0


def test_segments_that_a_full_disk_left_blank_do_not_keep_it_from_starting(tmp_path: Path) -> None:
    commit_log = tmp_path / "data" / "commitlog"
    commit_log.mkdir(parents=True)
    # Cassandra itself forgives a blank segment only where it is the last.
    for number in (1, 2):
        (commit_log / f"CommitLog-7-{number}.log").write_bytes(bytes(1 << 16))
    server = CassandraServer(tmp_path, tmp_path / "data", jvm_options=JVM_OPTIONS)

    def start() -> None:
        server.start()
        wait_ready([server], timeout_s=_READY_S)

    try:
        started(start, "Cassandra")
        assert server.ready()
    finally:
        server.stop()
