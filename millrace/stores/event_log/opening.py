"""Opens the event log at the configured address."""

from pathlib import Path
from urllib.parse import urlsplit

from millrace.kernel.errors import ConfigurationError
from millrace.kernel.settings import Settings
from millrace.stores.event_log.protocol import EventLog
from millrace.stores.event_log.sqlite import SqliteEventLog

_SQLITE_PREFIX = "sqlite:///"
_SHAPES = "sqlite:///PATH or cassandra://HOST:PORT/KEYSPACE?dc=DATACENTRE"


def open_event_log(settings: Settings) -> EventLog:
    """Open the event log that `settings.event_log_url` names.

    A SQLite file is created where it does not exist yet. Tables in Cassandra are not: `create_schema` does that.

    Raises:
        ConfigurationError: The address has an unknown scheme, the file is not an event log, or Cassandra has no tables.
        TransientError: The file is locked, there is no space left, or Cassandra does not answer.
    """
    if _is_cassandra(settings):
        # Here, so that a log in a file needs no Cassandra driver.
        from millrace.stores.event_log.cassandra import CassandraEventLog

        return CassandraEventLog(settings)
    return SqliteEventLog(_sqlite_path(settings.event_log_url))


def create_schema(settings: Settings) -> str:
    """Create what the event log needs, or bring it to this version; doing it again changes nothing.

    Returns:
        A sentence about what was done.

    Raises:
        ConfigurationError: As for `open_event_log`, or the login may not change tables.
        TransientError: As for `open_event_log`.
    """
    if not _is_cassandra(settings):
        SqliteEventLog(_sqlite_path(settings.event_log_url)).close()
        return f"The event log {settings.event_log_url} is there."
    from millrace.stores.event_log.cassandra_schema import create_cassandra_schema

    state = create_cassandra_schema(settings)
    done = f"versions applied: {', '.join(map(str, state.applied))}" if state.applied else "nothing to do"
    return f"The event log's tables in keyspace {state.keyspace} have version {state.version} ({done})."


def _is_cassandra(settings: Settings) -> bool:
    url = settings.event_log_url
    scheme = urlsplit(url).scheme
    if scheme not in {"sqlite", "cassandra"}:
        raise ConfigurationError(f"MILLRACE_EVENT_LOG={url!r} is not the address of an event log; use {_SHAPES}.")
    return scheme == "cassandra"


def _sqlite_path(url: str) -> Path:
    """Return the file: `sqlite:///` and then a relative path, or an absolute one with its own slash."""
    path = url.removeprefix(_SQLITE_PREFIX)
    if path == url or path in {"", "/"}:
        raise ConfigurationError(f"MILLRACE_EVENT_LOG={url!r} names no file; use sqlite:///PATH (three slashes).")
    return Path(path)
