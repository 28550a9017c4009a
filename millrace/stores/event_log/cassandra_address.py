"""The address of an event log in Cassandra."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from millrace.kernel.errors import ConfigurationError

DEFAULT_PORT = 9042
# What Cassandra's simplest snitch calls the only data centre it knows.
DEFAULT_DATA_CENTRE = "datacenter1"
SHAPE = "cassandra://HOST:PORT[,HOST:PORT]/KEYSPACE?dc=DATACENTRE"
# Cassandra's own rule for names that need no quotes.
_KEYSPACE = re.compile(r"[a-z][a-z0-9_]{0,47}")


@dataclass(frozen=True, slots=True)
class CassandraAddress:
    """Where the log is.

    Args:
        hosts: Host and port of some nodes; the others are learnt from them.
        keyspace: The keyspace that holds the log.
        data_centre: The one whose nodes are asked.
    """

    hosts: tuple[tuple[str, int], ...]
    keyspace: str
    data_centre: str

    def __str__(self) -> str:
        return ",".join(f"{host}:{port}" for host, port in self.hosts)


def parse_address(url: str) -> CassandraAddress:
    """Read `cassandra://HOST:PORT[,HOST:PORT]/KEYSPACE?dc=DATACENTRE`.

    Raises:
        ConfigurationError: The address has another shape or carries a password.
    """
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise ConfigurationError(
            "MILLRACE_EVENT_LOG carries a login, and addresses are shown to people; set MILLRACE_CASSANDRA_USERNAME "
            "and MILLRACE_CASSANDRA_PASSWORD instead."
        )
    query, keyspace = parse_qs(parts.query), parts.path.removeprefix("/")
    if not parts.netloc or not _KEYSPACE.fullmatch(keyspace) or query.keys() - {"dc"}:
        raise _unusable(url)
    hosts = tuple(_host(each, url) for each in parts.netloc.split(","))
    return CassandraAddress(hosts, keyspace, query.get("dc", [DEFAULT_DATA_CENTRE])[-1])


def _host(text: str, url: str) -> tuple[str, int]:
    host, colon, port = text.strip().rpartition(":")
    if not colon:
        host, port = text.strip(), str(DEFAULT_PORT)
    if not host or not port.isdigit():
        raise _unusable(url)
    return host, int(port)


def _unusable(url: str) -> ConfigurationError:
    return ConfigurationError(
        f"MILLRACE_EVENT_LOG={url!r} is not the address of an event log in Cassandra; use {SHAPE}."
    )
