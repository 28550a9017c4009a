"""`millrace log-writer`."""

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("log-writer", rich_help_panel="Roles")(log_writer)


def log_writer() -> None:
    """Copy events and items from Kafka into the event log, until stopped.

    The log holds each event under its partition and offset, so running this twice or again changes nothing. Models
    learn from the log, and `millrace rebuild` makes all of Redis from it. While the writer is away recommendations
    go on; it catches up from Kafka.

    Examples:
      millrace log-writer
    """
    from millrace.apps.cli.logs import log_to_stderr
    from millrace.consumers.log_writer.run import run_log_writer
    from millrace.kernel.settings import load_settings

    log_to_stderr()
    run_log_writer(load_settings())
