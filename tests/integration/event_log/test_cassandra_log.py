"""What is Cassandra's own about its event log: blocks, tables made on purpose, broken writes and connections."""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from breaking_proxy import breaking_proxy

from millrace.kernel.contracts import ActivityEvent
from millrace.kernel.errors import ConfigurationError, TransientError
from millrace.kernel.settings import Settings
from millrace.stores.event_log import LoggedEvent, LostTailError, cassandra_session, create_schema, open_event_log
from millrace.stores.event_log import cassandra as cassandra_log
from millrace.stores.event_log.cassandra import CassandraEventLog
from millrace.stores.event_log.cassandra_rows import BLOCK_EVENTS
from millrace.stores.event_log.cassandra_schema import SCHEMA_VERSION
from millrace.stores.event_log.cassandra_writes import Writes

pytestmark = pytest.mark.services

DEADLINE_S = 60.0


@pytest.fixture
def settings(own_settings: Callable[..., Settings], cassandra: str) -> Settings:
    return own_settings(event_log=cassandra)


@pytest.fixture
def log(settings: Settings) -> Iterator[CassandraEventLog]:
    with closing(CassandraEventLog(settings)) as opened:
        yield opened


def logged(partition: int, offset: int, user_id: str = "u", text: str = "") -> LoggedEvent:
    event = ActivityEvent(
        event_id=f"e{partition}-{offset}",
        user_id=user_id,
        item_id="i",
        type="view",
        ts_ms=1_000 + offset,
        context={"text": text} if text else None,
    )
    return LoggedEvent(partition, offset, 10_000 + offset, event)


def places(log: CassandraEventLog) -> list[tuple[int, int]]:
    return [(each.partition, each.offset) for page in log.read({}) for each in page]


def test_a_log_runs_through_its_blocks(log: CassandraEventLog) -> None:
    offsets = [BLOCK_EVENTS - 2, BLOCK_EVENTS - 1, BLOCK_EVENTS, 5 * BLOCK_EVENTS + 3, 10**12]
    log.append([logged(0, offset) for offset in reversed(offsets)])
    assert places(log) == [(0, offset) for offset in offsets]
    assert log.count() == len(offsets)
    assert log.count({0: BLOCK_EVENTS - 1}) == 3
    assert log.gaps() == {
        0: [
            (0, BLOCK_EVENTS - 3),
            (BLOCK_EVENTS + 1, 5 * BLOCK_EVENTS + 2),
            (5 * BLOCK_EVENTS + 4, 10**12 - 1),
        ]
    }


def test_a_kept_count_is_dropped_when_a_gap_is_filled(log: CassandraEventLog) -> None:
    log.append([logged(0, 0), logged(0, 2), logged(0, BLOCK_EVENTS)])
    assert [log.count(), log.count()] == [3, 3]
    log.append([logged(0, 1)])
    assert [log.count(), log.count()] == [4, 4]
    assert log.gaps() == {0: [(3, BLOCK_EVENTS - 1)]}


def test_a_large_append_is_cut_into_requests_the_server_takes(log: CassandraEventLog) -> None:
    events = [logged(offset % 3, offset // 3, f"u{offset % 7}", "x" * 40_000) for offset in range(120)]
    log.append(events)
    assert sorted(places(log)) == sorted((each.partition, each.offset) for each in events)


def test_rows_of_an_unfinished_write_are_not_seen_until_it_is_repeated(
    log: CassandraEventLog, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append([logged(0, 0)])

    def killed(*_: object) -> None:
        raise TransientError("killed before the last step")

    monkeypatch.setattr(Writes, "ends", killed)
    with pytest.raises(TransientError):
        log.append([logged(0, 1), logged(0, 2)])
    monkeypatch.undo()
    with closing(CassandraEventLog(settings)) as next_writer:
        assert next_writer.end() == {0: 0}
        assert places(next_writer) == [(0, 0)]
        assert next_writer.at(0, 1) is None
        assert next_writer.count() == 1
        assert len(next_writer.user_history("u")) == 1
        # Nobody has seen what the first writer left, so the next one may write something else.
        next_writer.append([logged(0, 1), logged(0, 2, text="another"), logged(0, 3)])
        assert places(next_writer) == [(0, offset) for offset in range(4)]
        assert next_writer.at(0, 2) == logged(0, 2, text="another")
        assert next_writer.gaps() == {}


def test_a_node_that_lost_what_it_had_confirmed_is_noticed(log: CassandraEventLog, settings: Settings) -> None:
    log.append([logged(0, offset) for offset in range(10)])
    # What a killed node comes back with.
    with closing(CassandraEventLog(settings)) as survivor:
        session = survivor._cluster.connect(urlsplit(settings.event_log_url).path.strip("/"))
        for table in ("events", "events_by_user", "blocks", "ends"):
            session.execute(f"TRUNCATE {table}")
        survivor.append([logged(0, offset) for offset in range(5)])
    with pytest.raises(LostTailError, match="0: 9.* ends at {0: 4}"):
        log.append([logged(0, 10)])
    assert log.end() == {0: 4}
    log.append([logged(0, offset) for offset in range(4, 11)])
    assert places(log) == [(0, offset) for offset in range(11)]
    assert log.count() == 11


def test_an_end_never_moves_back(log: CassandraEventLog, settings: Settings) -> None:
    log.append([logged(0, offset) for offset in range(10)])
    with closing(CassandraEventLog(settings)) as slow_writer:
        slow_writer.append([logged(0, offset) for offset in range(5)])
    assert log.end() == {0: 9}


def test_archiving_goes_on_after_a_failure(log: CassandraEventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cassandra_log, "_ARCHIVE_EVENTS", 4)
    log.append([logged(partition, offset, f"u{offset}") for partition in range(2) for offset in range(5)])
    before = [each.event for page in log.read({}) for each in page]

    def failing(*_: object) -> None:
        raise TransientError("killed before the copies are shown")

    monkeypatch.setattr(Writes, "next_generation", failing)
    with pytest.raises(TransientError):
        log.archive()
    assert [each.event for page in log.read({}) for each in page] == before
    assert log.end() == {0: 4, 1: 4}
    monkeypatch.undo()
    # Something arrives in between, and takes another place in the order.
    log.append([LoggedEvent(2, 0, 1, logged(2, 0, "late").event)])
    assert log.archive() == 11
    assert log.end() == {-1: 10}
    assert [each.event.user_id for page in log.read({}) for each in page][0] == "late"
    assert log.count() == 11
    for user in range(5):
        assert [each.partition for each in log.user_history(f"u{user}")] == [-1, -1]


def test_two_installations_share_tables_without_seeing_each_other(log: CassandraEventLog, settings: Settings) -> None:
    other = settings.model_copy(update={"topic_prefix": f"t{uuid.uuid4().hex[:10]}."})
    log.append([logged(0, 0)])
    with closing(open_event_log(other)) as theirs:
        assert theirs.end() == {}
        assert theirs.user_history("u") == []


def test_tables_are_made_on_purpose_only(settings: Settings) -> None:
    parts = urlsplit(settings.event_log)
    keyspace = f"k{uuid.uuid4().hex[:10]}"
    elsewhere = settings.model_copy(update={"event_log": parts._replace(path=f"/{keyspace}").geturl()})
    with pytest.raises(
        ConfigurationError, match=rf"^The keyspace {keyspace} at .* has no event log.*millrace log-schema"
    ):
        open_event_log(elsewhere)
    assert create_schema(elsewhere).endswith(f"have version {SCHEMA_VERSION} (versions applied: 1, 2).")
    assert create_schema(elsewhere).endswith("(nothing to do).")
    with closing(CassandraEventLog(elsewhere)) as log:
        session = log._cluster.connect()
        session.execute(f"INSERT INTO {keyspace}.schema_versions (version) VALUES (99)")  # noqa: S608 - made above
        for use in (open_event_log, create_schema):
            with pytest.raises(ConfigurationError, match="has version 99 .*use the newer Millrace"):
                use(elsewhere)
        session.execute(f"DROP KEYSPACE {keyspace}", timeout=60)


def test_a_server_that_is_away_is_waited_for(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cassandra_session, "_RETRY_FOR_S", 0.5)
    parts = urlsplit(settings.event_log)
    assert parts.port is not None
    with breaking_proxy(parts.port) as proxy:
        through = settings.model_copy(update={"event_log": parts._replace(netloc=f"127.0.0.1:{proxy.port}").geturl()})
        with closing(CassandraEventLog(through)) as log:
            log.append([logged(0, 0)])
            proxy.cut_requests(0)
            with pytest.raises(TransientError, match="^Cassandra did not answer while "):
                log.append([logged(0, 1)])
            with pytest.raises(TransientError, match="^Cassandra did not answer while connecting to 127"):
                CassandraEventLog(through)
            proxy.cut_requests(None)
            _until_written(log, logged(0, 1))
            assert places(log) == [(0, 0), (0, 1)]


def _until_written(log: CassandraEventLog, event: LoggedEvent) -> None:
    """Append as the log writer does: again and again."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            log.append([event])
        except TransientError:
            assert time.monotonic() < deadline, "Cassandra is not used again"
            time.sleep(0.05)
        else:
            return


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"netloc": "127.0.0.1:1"}, TransientError, "^Cassandra did not answer while connecting to 127.0.0.1:1 "),
        ({"query": "dc=elsewhere"}, ConfigurationError, "none of its nodes is in the data centre"),
    ],
)
def test_an_address_that_leads_nowhere_is_one_sentence(
    settings: Settings, change: dict[str, str], kind: type[Exception], words: str
) -> None:
    url = urlsplit(settings.event_log)._replace(**change).geturl()
    with pytest.raises(kind, match=words) as caught:
        open_event_log(settings.model_copy(update={"event_log": url}))
    assert "\n" not in str(caught.value)
