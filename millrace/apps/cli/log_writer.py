"""`millrace log-writer`."""

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("log-writer", rich_help_panel="Roles")(log_writer)


def log_writer() -> None:
    """Copy events and items from Kafka into the event log until SIGTERM or Ctrl-C.

    The log stores each event under its partition and offset, so copying it again changes nothing. Models learn from the
    log, and `millrace rebuild` restores Redis from it. Recommendations go on without the writer; after a restart it
    catches up from Kafka.

    Examples:
      millrace log-writer
    """
    from millrace.apps.cli.logs import log_to_stderr
    from millrace.consumers.log_writer.run import run_log_writer
    from millrace.kernel.settings import load_settings

    log_to_stderr()
    run_log_writer(load_settings())
