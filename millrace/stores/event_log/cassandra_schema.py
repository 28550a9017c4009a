"""The tables of the event log in Cassandra, their versions, and the only code that changes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from millrace.kernel.errors import ConfigurationError
from millrace.kernel.settings import Settings
from millrace.stores.event_log.cassandra_address import CassandraAddress, parse_address
from millrace.stores.event_log.cassandra_session import connect, local_nodes

# A log is named after the topic of its events, so that several installations can share a keyspace.
# `generation` counts how often that topic was created anew; imported history is generation 0, partition -1.
_VERSION_1 = (
    """
    CREATE TABLE IF NOT EXISTS {keyspace}.events (
        log text, generation int, partition int, block bigint, "offset" bigint,
        received_ts_ms bigint, event text,
        PRIMARY KEY ((log, generation, partition, block), "offset")
    ) WITH comment = 'Events as JSON under their Kafka coordinates, in blocks of 10,000 offsets'
    """,
    """
    CREATE TABLE IF NOT EXISTS {keyspace}.events_by_user (
        log text, user_id text, ts_ms bigint, generation int, partition int, "offset" bigint,
        received_ts_ms bigint, event text,
        PRIMARY KEY ((log, user_id), ts_ms, generation, partition, "offset")
    ) WITH CLUSTERING ORDER BY (ts_ms DESC, generation DESC, partition DESC, "offset" DESC)
      AND comment = 'The same events by person, newest first'
    """,
    """
    CREATE TABLE IF NOT EXISTS {keyspace}.items (
        log text, bucket int, item_id text, sequence bigint, item text,
        PRIMARY KEY ((log, bucket), item_id)
    ) WITH comment = 'Newest record of each item as JSON; sequence: order of first write'
    """,
    """
    CREATE TABLE IF NOT EXISTS {keyspace}.blocks (
        log text, generation int, partition int, block bigint, events int,
        PRIMARY KEY ((log, generation), partition, block)
    ) WITH comment = 'Blocks that exist; events: how many a closed one holds, once counted'
    """,
    """
    CREATE TABLE IF NOT EXISTS {keyspace}.ends (
        log text, generation int, partition int, last_offset bigint,
        PRIMARY KEY ((log, generation), partition)
    ) WITH comment = 'Up to where each partition is written without a hole of our own making'
    """,
    """
    CREATE TABLE IF NOT EXISTS {keyspace}.logs (
        log text PRIMARY KEY, generation int
    ) WITH comment = 'Current generation of each log'
    """,
)

_VERSION_2 = (
    """
    CREATE TABLE IF NOT EXISTS {keyspace}.forgotten (
        log text, bucket int, id uuid, item_id text, type text, value double,
        PRIMARY KEY ((log, bucket), id)
    ) WITH comment = 'What is left of forgotten events, one row each; the ids are random and lead nowhere'
    """,
)

# Statements that lead from the version before to this one. Never changed once released: a new version is added.
MIGRATIONS: Mapping[int, tuple[str, ...]] = {1: _VERSION_1, 2: _VERSION_2}
SCHEMA_VERSION = max(MIGRATIONS)

_VERSIONS = """
    CREATE TABLE IF NOT EXISTS {keyspace}.schema_versions (
        version int PRIMARY KEY, applied_at timestamp
    ) WITH comment = 'Versions of the event log that were applied'
"""
# One node may be away while a quorum of the others goes on.
DEFAULT_REPLICAS = 3
# Changing tables waits for all nodes to agree.
_CHANGE_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class SchemaState:
    """The content of a keyspace.

    Args:
        keyspace: Its name.
        version: The newest version applied; 0 without any.
        applied: Versions that were applied just now.
    """

    keyspace: str
    version: int
    applied: tuple[int, ...] = ()


def create_cassandra_schema(settings: Settings) -> SchemaState:
    """Create the keyspace and apply the versions that are missing; doing it again changes nothing.

    Raises:
        ConfigurationError: The keyspace was written by a newer Millrace, or the login may not change tables.
        TransientError: Cassandra does not answer.
    """
    address = parse_address(settings.event_log_url)
    with connect(settings, address) as cluster:
        session = cluster.connect()
        return _apply(session, address, _replication(settings, address, local_nodes(cluster, address)))


def _apply(session: Any, address: CassandraAddress, replication: str) -> SchemaState:
    before = stored_version(session, address.keyspace)
    refuse_newer(address, before)
    for statement in statements(address.keyspace, before, replication):
        session.execute(statement, timeout=_CHANGE_TIMEOUT_S)
    applied = tuple(range(before + 1, SCHEMA_VERSION + 1))
    for version in applied:
        session.execute(
            f"INSERT INTO {address.keyspace}.schema_versions (version, applied_at)"  # noqa: S608 - checked name
            " VALUES (%s, toTimestamp(now()))",
            (version,),
        )
    return SchemaState(address.keyspace, SCHEMA_VERSION, applied)


def cassandra_schema_state(settings: Settings) -> SchemaState:
    """Return which version a keyspace has, changing nothing.

    Raises:
        TransientError: Cassandra does not answer.
    """
    address = parse_address(settings.event_log_url)
    with connect(settings, address) as cluster:
        return SchemaState(address.keyspace, stored_version(cluster.connect(), address.keyspace))


def statements(keyspace: str, version: int, replication: str) -> list[str]:
    """Return the CQL that leads from a version to the newest, to be applied by hand.

    Args:
        keyspace: Its name.
        version: What it has; 0 for a keyspace that does not exist.
        replication: The keyspace's replication as CQL writes it.
    """
    if version == SCHEMA_VERSION:
        return []
    first = [
        f"CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = {replication}",
        _VERSIONS.format(keyspace=keyspace),
    ]
    later = [
        statement.format(keyspace=keyspace)
        for number in range(version + 1, SCHEMA_VERSION + 1)
        for statement in MIGRATIONS[number]
    ]
    return [*first, *later]


def require_schema(session: Any, address: CassandraAddress) -> None:
    """Refuse a keyspace without the tables this version reads and writes.

    Raises:
        ConfigurationError: It has none, older or newer ones.
    """
    version = stored_version(session, address.keyspace)
    refuse_newer(address, version)
    if version < SCHEMA_VERSION:
        there = f"version {version} of the event log's tables" if version else "no event log"
        raise ConfigurationError(
            f"The keyspace {address.keyspace} at {address} has {there}, this Millrace needs version {SCHEMA_VERSION}; "
            "run `millrace log-schema` once."
        )


def refuse_newer(address: CassandraAddress, version: int) -> None:
    """Refuse tables of a newer Millrace.

    Raises:
        ConfigurationError: They are.
    """
    if version > SCHEMA_VERSION:
        raise ConfigurationError(
            f"The keyspace {address.keyspace} at {address} has version {version} of the event log's tables, and this "
            f"Millrace knows {SCHEMA_VERSION}; use the newer Millrace, or another keyspace."
        )


def stored_version(session: Any, keyspace: str) -> int:
    """Return the newest version applied to a keyspace, 0 without any."""
    tables = session.execute(
        "SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s AND table_name = 'schema_versions'",
        (keyspace,),
    )
    if not list(tables):
        return 0
    rows = session.execute(f"SELECT version FROM {keyspace}.schema_versions")  # noqa: S608 - checked name
    return max((row[0] for row in rows), default=0)


def _replication(settings: Settings, address: CassandraAddress, nodes: int) -> str:
    replicas = settings.cassandra_replication or {address.data_centre: min(DEFAULT_REPLICAS, nodes)}
    return replication_cql(replicas)


def replication_cql(replicas: Mapping[str, int]) -> str:
    """Return a keyspace's replication as CQL writes it."""
    pairs = [("class", "'NetworkTopologyStrategy'"), *((name, str(count)) for name, count in replicas.items())]
    inner = ", ".join(f"'{name}': {value}" for name, value in pairs)
    return "{" + inner + "}"
