"""The battery every event log passes, whichever adapter; a new adapter is one more entry of `ADAPTERS`."""

import random
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from millrace.kernel.contracts import ActivityEvent, CatalogueItem
from millrace.kernel.errors import ConfigurationError, TransientError
from millrace.kernel.settings import Settings
from millrace.stores.event_log import IMPORT_PARTITION, AnonymousEvents, EventLog, LoggedEvent, open_event_log
from millrace.stores.event_log.sqlite import SqliteEventLog

Opener = Callable[[], EventLog]
SERVICE = pytest.mark.services


def sqlite_settings(request: pytest.FixtureRequest, folder: Path) -> Settings:
    return Settings(home=folder, event_log=f"sqlite:///{folder / 'deep' / 'events.sqlite'}")


def cassandra_settings(request: pytest.FixtureRequest, folder: Path) -> Settings:
    # A log is named after its topic: another prefix, another log in the same tables.
    url = request.getfixturevalue("cassandra")
    return Settings(home=folder, event_log=url, topic_prefix=f"t{uuid.uuid4().hex[:10]}.")


ADAPTERS = {"sqlite": sqlite_settings, "cassandra": cassandra_settings}


@pytest.fixture(params=[pytest.param(name, marks=SERVICE if name == "cassandra" else ()) for name in ADAPTERS])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Opens one and the same log as often as it is called, as other processes would."""
    settings = ADAPTERS[request.param](request, tmp_path)
    return lambda: open_event_log(settings)


@pytest.fixture
def log(opener: Opener) -> Iterator[EventLog]:
    opened = opener()
    yield opened
    opened.close()


def logged(partition: int, offset: int, received_ts_ms: int | None = None, **fields: object) -> LoggedEvent:
    values: dict[str, object] = {
        "event_id": f"e{partition}-{offset}",
        "user_id": "u1",
        "item_id": f"i{offset}",
        "type": "rating",
        "value": 4.5,
        "ts_ms": 1_000 + offset,
    }
    received = 10_000 + offset if received_ts_ms is None else received_ts_ms
    return LoggedEvent(partition, offset, received, ActivityEvent.model_validate(values | fields))


def coordinates(log: EventLog, after: dict[int, int] | None = None, **options: Any) -> list[tuple[int, int]]:
    return [(event.partition, event.offset) for page in log.read(after or {}, **options) for event in page]


def test_an_empty_log_has_nothing(log: EventLog) -> None:
    assert list(log.read({})) == []
    assert list(log.items()) == []
    assert log.count() == 0
    assert log.end() == {}
    assert log.gaps() == {}
    assert log.user_history("nobody") == []
    assert log.at(0, 0) is None
    assert log.archive() == 0


def test_every_field_comes_back(log: EventLog) -> None:
    events = [
        logged(0, 0, value=0.5, context={"page": "start", "näme": "Ünïcode 日本"}),
        logged(0, 1, type="view", value=None),
        logged(2, 7, user_id="ü" * 128, item_id="x'; DROP TABLE events; --"),
    ]
    log.append(events)
    assert [event for page in log.read({}) for event in page] == events
    assert log.at(2, 7) == events[2]


def test_writing_twice_changes_nothing(log: EventLog) -> None:
    log.append([logged(0, 0), logged(0, 1)])
    log.append([logged(0, 1, user_id="another"), logged(0, 2)])
    assert coordinates(log) == [(0, 0), (0, 1), (0, 2)]
    assert log.at(0, 1) == logged(0, 1)
    assert log.count() == 3


def test_a_batch_may_hold_the_same_coordinates_twice(log: EventLog) -> None:
    log.append([logged(0, 0), logged(0, 0)])
    assert log.count() == 1


def test_imported_events_are_read_first_then_by_arrival(log: EventLog) -> None:
    log.append(
        [
            logged(1, 0, 50),
            logged(0, 0, 50),
            logged(0, 1, 70),
            logged(1, 1, 60),
            logged(IMPORT_PARTITION, 0, 9_999),
            logged(IMPORT_PARTITION, 1, 3),
        ]
    )
    assert coordinates(log) == [(-1, 0), (-1, 1), (0, 0), (1, 0), (1, 1), (0, 1)]


def test_a_partition_keeps_its_order_though_its_clock_goes_back(log: EventLog) -> None:
    log.append([logged(0, 0, 100), logged(0, 1, 10), logged(0, 2, 100), logged(1, 0, 50)])
    assert coordinates(log) == [(1, 0), (0, 0), (0, 1), (0, 2)]


@pytest.mark.parametrize("page_size", [1, 2, 7, 100])
def test_reading_on_from_any_position_continues_the_same_order(log: EventLog, page_size: int) -> None:
    rng = random.Random(page_size)
    log.append([logged(partition, offset, rng.randrange(50)) for partition in range(-1, 3) for offset in range(8)])
    whole = coordinates(log)
    assert sorted(whole) == [(partition, offset) for partition in range(-1, 3) for offset in range(8)]
    position: dict[int, int] = {}
    for place, (partition, offset) in enumerate(whole, start=1):
        position[partition] = offset
        assert coordinates(log, position, page_size=page_size) == whole[place:]
        assert log.count(position) == len(whole) - place


def test_reading_until_a_position_stops_there_and_leaves_other_partitions_out(log: EventLog) -> None:
    log.append([logged(partition, offset) for partition in range(-1, 3) for offset in range(4)])
    until = {IMPORT_PARTITION: 9, 0: 1, 1: -1}
    assert coordinates(log, until=until) == [*((-1, offset) for offset in range(4)), (0, 0), (0, 1)]
    assert coordinates(log, {IMPORT_PARTITION: 3, 0: 0}, until=until) == [(0, 1)]


def test_pages_and_limit(log: EventLog) -> None:
    log.append([logged(0, offset) for offset in range(25)])
    assert [len(page) for page in log.read({}, page_size=10)] == [10, 10, 5]
    assert [len(page) for page in log.read({}, limit=12, page_size=10)] == [10, 2]
    assert coordinates(log, {0: 20}) == [(0, offset) for offset in range(21, 25)]


def test_reading_ends_where_the_log_ended_at_its_start(log: EventLog) -> None:
    log.append([logged(0, 0), logged(0, 1)])
    pages = log.read({}, page_size=1)
    first = next(pages)
    log.append([logged(0, 2)])
    assert [event.offset for page in [first, *pages] for event in page] == [0, 1]
    assert coordinates(log, {0: 1}) == [(0, 2)]


def test_gaps_are_visible(log: EventLog) -> None:
    log.append([logged(0, offset) for offset in (2, 3, 7)] + [logged(1, 0)])
    assert log.gaps() == {0: [(0, 1), (4, 6)]}
    assert log.end() == {0: 7, 1: 0}


def test_the_newest_write_of_an_item_wins_and_keeps_its_place(log: EventLog) -> None:
    full = CatalogueItem(
        item_id="b",
        title="Ä",
        genres=("Drama", "War"),
        year=1999,
        available=False,
        attributes={"length": 1.5, "x": True},
    )
    log.upsert_items([CatalogueItem(item_id="b"), CatalogueItem(item_id="a", title="A")])
    log.upsert_items([CatalogueItem(item_id="c")])
    log.upsert_items([full])
    assert [item for page in log.items() for item in page] == [
        full,
        CatalogueItem(item_id="a", title="A"),
        CatalogueItem(item_id="c"),
    ]


def test_user_history_is_newest_first_by_event_time(log: EventLog) -> None:
    log.append([logged(0, 0, ts_ms=30), logged(0, 1, ts_ms=10), logged(1, 0, ts_ms=20), logged(0, 2, user_id="u2")])
    assert [event.event.ts_ms for event in log.user_history("u1")] == [30, 20, 10]
    assert [event.event.ts_ms for event in log.user_history("u1", limit=1)] == [30]


def test_a_forgotten_person_leaves_places_and_anonymous_events(log: EventLog) -> None:
    theirs = [logged(0, offset, user_id="they", item_id=f"i{offset // 2}") for offset in (1, 2, 3, 5)]
    view = logged(IMPORT_PARTITION, 0, user_id="they", type="view", value=None, item_id="i9", context={"page": "start"})
    others = [logged(0, offset) for offset in (0, 4)]
    log.append([*theirs, *others, view])
    ends = log.end()
    assert log.forget([]) == 0
    assert log.forget(log.user_history("they"), repeated={(0, 5)}) == 5
    assert coordinates(log) == [(0, 0), (0, 4)]
    assert (log.user_history("they"), log.at(0, 5), log.at(IMPORT_PARTITION, 0)) == ([], None, None)
    assert (log.gaps(), log.end()) == ({}, ends)
    left = [AnonymousEvents("i0", "rating", 4.5, 1), AnonymousEvents("i1", "rating", 4.5, 2)]
    assert log.forgotten() == [*left, AnonymousEvents("i9", "view", None, 1)]
    # What Kafka still has does not come back, and neither does another import.
    log.append([*theirs, view])
    assert coordinates(log) == [(0, 0), (0, 4)]
    assert log.user_history("they") == []
    later = logged(0, 6, user_id="they")
    log.append([later])
    assert log.user_history("they") == [later]
    assert log.archive() == 3
    assert coordinates(log) == [(IMPORT_PARTITION, offset) for offset in (1, 2, 3)]
    assert log.end() == {IMPORT_PARTITION: 3}
    assert log.forget(log.user_history("they")) == 1
    assert sum(each.events for each in log.forgotten()) == 5


def test_archiving_keeps_the_past_and_frees_the_coordinates(log: EventLog) -> None:
    log.append([logged(IMPORT_PARTITION, 0), logged(0, 0, 60), logged(0, 1, 70), logged(3, 5, 65)])
    before = [event.event for page in log.read({}) for event in page]
    assert log.archive() == 3
    assert log.end() == {IMPORT_PARTITION: 3}
    assert [event.event for page in log.read({}) for event in page] == before
    log.append([logged(0, 0, event_id="of the new topic")])
    assert log.count() == 5


def test_what_one_connection_wrote_another_reads(opener: Opener, log: EventLog) -> None:
    other = opener()
    log.append([logged(0, 0)])
    assert coordinates(other) == [(0, 0)]
    other.append([logged(0, 1)])
    assert coordinates(log) == [(0, 0), (0, 1)]
    other.close()


def test_twenty_thousand_events_are_read_as_they_were_written(log: EventLog) -> None:
    events = [logged(offset % 4, offset // 4, user_id=f"u{offset % 500}") for offset in range(20_000)]
    for start in range(0, len(events), 1000):
        log.append(events[start : start + 1000])
    read = [event for page in log.read({}) for event in page]
    assert sorted(read, key=lambda event: (event.partition, event.offset)) == sorted(
        events, key=lambda event: (event.partition, event.offset)
    )


# What follows is SQLite's own.


def test_a_person_can_read_it_with_sqlite(tmp_path: Path) -> None:
    log = SqliteEventLog(tmp_path / "events.sqlite")
    log.append([logged(0, 4)])
    with sqlite3.connect(tmp_path / "events.sqlite") as plain:
        assert plain.execute("select partition, offset, user_id, value from events").fetchall() == [(0, 4, "u1", 4.5)]
    plain.close()
    log.close()


def test_a_full_disk_is_transient_and_the_batch_can_be_written_again(tmp_path: Path) -> None:
    log = SqliteEventLog(tmp_path / "events.sqlite")
    log._connection.execute("PRAGMA max_page_count = 20")  # SQLite then answers as on a full disk
    batch = [logged(0, offset, context={"text": "x" * 500}) for offset in range(500)]
    with pytest.raises(TransientError, match="full.*free space"):
        log.append(batch)
    assert log.count() == 0
    log._connection.execute("PRAGMA max_page_count = 1000000")
    log.append(batch)
    assert log.count() == 500
    log.close()


def test_a_locked_file_is_transient(tmp_path: Path) -> None:
    log = SqliteEventLog(tmp_path / "events.sqlite", busy_timeout_s=0.01)
    holder = sqlite3.connect(tmp_path / "events.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(TransientError, match="locked"):
        log.append([logged(0, 0)])
    holder.close()
    log.append([logged(0, 0)])
    log.close()


def test_a_committed_batch_survives_the_death_of_its_writer(tmp_path: Path) -> None:
    script = """
import os, signal, sys
from pathlib import Path
from millrace.stores.event_log.protocol import LoggedEvent
from millrace.stores.event_log.sqlite import SqliteEventLog
from millrace.kernel.contracts import ActivityEvent
log = SqliteEventLog(Path(sys.argv[1]))
def event(n):
    return LoggedEvent(0, n, n, ActivityEvent(event_id=str(n), user_id="u", item_id="i", type="view", ts_ms=n))
log.append([event(n) for n in range(100)])
log._connection.execute("BEGIN IMMEDIATE")
log._connection.execute("DELETE FROM events")
os.kill(os.getpid(), signal.SIGKILL)
"""
    path = tmp_path / "events.sqlite"
    subprocess.run([sys.executable, "-c", script, str(path)], check=False, timeout=60)
    log = SqliteEventLog(path)
    assert log.count() == 100
    assert log.gaps() == {}
    log.close()


def test_another_file_or_version_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a database, certainly not one " * 100)
    with pytest.raises(ConfigurationError, match="move the file away"):
        SqliteEventLog(tmp_path / "text")
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        SqliteEventLog(tmp_path / "text" / "below")
    later = sqlite3.connect(tmp_path / "later.sqlite")
    later.execute("PRAGMA user_version = 99")
    later.close()
    with pytest.raises(ConfigurationError, match="format 99"):
        SqliteEventLog(tmp_path / "later.sqlite")


def test_a_file_of_the_first_version_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    log = SqliteEventLog(path)
    log.append([logged(0, 0)])
    log.close()
    older = sqlite3.connect(path)
    older.execute("DROP TABLE forgotten")
    older.execute("PRAGMA user_version = 1")
    older.close()
    log = SqliteEventLog(path)
    assert log.forget(log.user_history("u1")) == 1
    log.close()


def test_nothing_of_a_forgotten_person_is_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    log = SqliteEventLog(path)
    log.append([logged(0, n, user_id=f"person-{n % 7}", context={"note": f"secret-{n % 7}"}) for n in range(2000)])
    log.forget(log.user_history("person-3", limit=2000))
    log.close()
    content = content_of(tmp_path)
    assert b"person-4" in content
    assert b"person-3" not in content
    assert b"secret-3" not in content


def test_what_a_reader_keeps_in_the_write_ahead_log_is_not_called_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    log = SqliteEventLog(path, busy_timeout_s=0.05)
    log.append([logged(0, n, user_id=f"person-{n % 7}") for n in range(70)])
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM events").fetchall()
    with pytest.raises(TransientError, match="-wal, .*forget again"):
        log.forget(log.user_history("person-3"))
    assert log.user_history("person-3") == []
    assert b"person-3" in content_of(tmp_path)
    reader.close()
    assert log.forget([]) == 0
    assert b"person-3" not in content_of(tmp_path)
    log.close()


def content_of(folder: Path) -> bytes:
    return b"".join(each.read_bytes() for each in folder.iterdir())


def test_the_address_decides_the_adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for address in ("", f"sqlite:///{tmp_path}/other.sqlite", "sqlite:///relative/events.sqlite"):
        log = open_event_log(Settings(home=tmp_path / "home", event_log=address))
        log.append([logged(0, 0)])
        log.close()
    for path in ("home/events.sqlite", "other.sqlite", "relative/events.sqlite"):
        assert (tmp_path / path).exists()
    for address, words in (
        ("cassandra://h", "not the address"),
        ("cassandra://me:secret@h/k", "MILLRACE_CASSANDRA_USERNAME"),
        ("nonsense", "not the address"),
        ("sqlite://", "no file"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            open_event_log(Settings(event_log=address))
