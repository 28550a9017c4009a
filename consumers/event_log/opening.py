"""From the configured address to an event log."""

from pathlib import Path
from urllib.parse import urlsplit

from consumers.event_log.protocol import EventLog
from consumers.event_log.sqlite import SqliteEventLog
from millrace.config import Settings
from millrace.errors import ConfigurationError

_SQLITE_PREFIX = "sqlite:///"


def open_event_log(settings: Settings) -> EventLog:
    """Open the event log that `settings.event_log_url` names, creating it where it does not exist yet.

    Raises:
        ConfigurationError: The address has an unknown scheme or the file is not an event log.
        TransientError: The file is locked, or there is no space left.
    """
    url = settings.event_log_url
    scheme = urlsplit(url).scheme
    if scheme == "sqlite":
        return SqliteEventLog(_sqlite_path(url))
    if scheme == "cassandra":
        raise ConfigurationError(
            f"MILLRACE_EVENT_LOG names Cassandra ({url}), which this version cannot write yet; use sqlite:///PATH."
        )
    raise ConfigurationError(f"MILLRACE_EVENT_LOG={url!r} is not the address of an event log; use sqlite:///PATH.")


def _sqlite_path(url: str) -> Path:
    """Return the file: `sqlite:///` and then a relative path, or an absolute one with its own slash."""
    path = url.removeprefix(_SQLITE_PREFIX)
    if path == url or path in {"", "/"}:
        raise ConfigurationError(f"MILLRACE_EVENT_LOG={url!r} names no file; use sqlite:///PATH (three slashes).")
    return Path(path)
