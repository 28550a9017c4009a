"""`millrace log-schema`: the event log's tables in Cassandra."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from millrace.kernel.settings import Settings

_PANEL = "Event log and models"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("log-schema", rich_help_panel=_PANEL)(log_schema)


def log_schema(
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit code 1 unless it is current.")] = False,
    show: Annotated[bool, typer.Option("--show", help="Print the CQL that is missing instead of running it.")] = False,
) -> None:
    """Create the tables of the event log, or bring them to this version; doing it again changes nothing.

    No other command creates or changes tables in Cassandra, except the local stack in its own. Replication comes from
    MILLRACE_CASSANDRA_REPLICATION and counts when the keyspace is created. An event log in SQLite needs none of this.

    Examples:
      MILLRACE_EVENT_LOG='cassandra://db1/millrace?dc=dc1' millrace log-schema
      millrace log-schema --show
    """
    from millrace.kernel.settings import load_settings
    from millrace.stores.event_log import create_schema

    settings = load_settings()
    if check:
        _check(settings)
    elif show:
        _show(settings)
    else:
        typer.echo(create_schema(settings))


def _check(settings: "Settings") -> None:
    from contextlib import closing

    from millrace.stores.event_log import open_event_log

    with closing(open_event_log(settings)):
        typer.echo("The event log is current.")


def _show(settings: "Settings") -> None:
    from millrace.stores.event_log.cassandra_address import parse_address
    from millrace.stores.event_log.cassandra_schema import (
        DEFAULT_REPLICAS,
        SCHEMA_VERSION,
        refuse_newer,
        replication_cql,
        statements,
    )

    address = parse_address(settings.event_log_url)
    version = _version_there(settings)
    refuse_newer(address, version)
    if version == SCHEMA_VERSION:
        typer.echo("-- The event log is current: there is nothing to run.")
        return
    replicas = settings.cassandra_replication or {address.data_centre: DEFAULT_REPLICAS}
    # The rows come last: roles take them for the word that all before them has been run.
    rows = (
        f"INSERT INTO {address.keyspace}.schema_versions (version, applied_at) "  # noqa: S608 - a checked name
        f"VALUES ({number}, toTimestamp(now()))"
        for number in range(version + 1, SCHEMA_VERSION + 1)
    )
    for statement in (*statements(address.keyspace, version, replication_cql(replicas)), *rows):
        typer.echo(statement.strip() + ";\n")


def _version_there(settings: "Settings") -> int:
    """Return the version that the keyspace has, 0 where that cannot be asked: whoever asks may have no login."""
    from millrace.kernel.errors import MillraceError
    from millrace.stores.event_log.cassandra_schema import cassandra_schema_state

    try:
        return cassandra_schema_state(settings).version
    except MillraceError as error:
        typer.echo(f"{error}\nThe version there is not known, so this is everything from the beginning.", err=True)
        return 0
