"""`millrace log-schema`: the event log's tables in Cassandra."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from millrace.config import Settings

_PANEL = "Event log and models"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("log-schema", rich_help_panel=_PANEL)(log_schema)


def log_schema(
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit code 1 unless it is current.")] = False,
    show: Annotated[bool, typer.Option("--show", help="Print the CQL instead of running it.")] = False,
) -> None:
    """Create the tables of the event log, or bring them to this version; doing it again changes nothing.

    No other command creates or changes tables in Cassandra, except the local stack in its own. Replication comes from
    MILLRACE_CASSANDRA_REPLICATION and counts when the keyspace is created. An event log in SQLite needs none of this.

    Examples:
      MILLRACE_EVENT_LOG='cassandra://db1:9042/millrace?dc=dc1' millrace log-schema
      millrace log-schema --show
    """
    from consumers.event_log import create_schema
    from millrace.config import load_settings

    settings = load_settings()
    if check:
        _check(settings)
    elif show:
        _show(settings)
    else:
        typer.echo(create_schema(settings))


def _check(settings: "Settings") -> None:
    from contextlib import closing

    from consumers.event_log import open_event_log

    with closing(open_event_log(settings)):
        typer.echo("The event log is current.")


def _show(settings: "Settings") -> None:
    from consumers.event_log.cassandra_address import parse_address
    from consumers.event_log.cassandra_schema import DEFAULT_REPLICAS, replication_cql, statements

    address = parse_address(settings.event_log_url)
    replicas = settings.cassandra_replication or {address.data_centre: DEFAULT_REPLICAS}
    for statement in statements(address.keyspace, 0, replication_cql(replicas)):
        typer.echo(statement.strip() + ";\n")
