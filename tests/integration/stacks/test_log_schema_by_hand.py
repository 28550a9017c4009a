"""What `millrace log-schema --show` prints makes an event log that roles accept."""

import uuid
from collections.abc import Callable
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from millrace.apps.cli.app import build_app
from millrace.kernel.errors import ConfigurationError
from millrace.kernel.settings import Settings
from millrace.stores.event_log import open_event_log
from millrace.stores.event_log.cassandra_address import parse_address
from millrace.stores.event_log.cassandra_session import connect

pytestmark = pytest.mark.services

CHANGE_TIMEOUT_S = 60.0


@pytest.fixture
def settings(cassandra: str, exported: Callable[[Settings], Settings]) -> Settings:
    """Return settings of a keyspace that does not exist yet, also in the environment."""
    event_log = urlsplit(cassandra)._replace(path=f"/k{uuid.uuid4().hex[:10]}").geturl()
    return exported(Settings(event_log=event_log, cassandra_replication={"datacenter1": 1}))


def show() -> str:
    return CliRunner().invoke(build_app(), ["log-schema", "--show"], catch_exceptions=False).stdout


def test_what_is_applied_by_hand_is_accepted(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="has no event log"):
        open_event_log(settings)
    statements = [part.strip() for part in show().split(";\n")]
    with connect(settings, parse_address(settings.event_log_url)) as cluster:
        session = cluster.connect()
        for statement in filter(None, statements):
            session.execute(statement, timeout=CHANGE_TIMEOUT_S)
    with closing(open_event_log(settings)) as log:
        assert log.end() == {}
    assert show() == "-- The event log is current: there is nothing to run.\n"
