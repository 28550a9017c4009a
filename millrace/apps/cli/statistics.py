"""`millrace statistics`: the item-statistics keeper."""

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("statistics", rich_help_panel="Roles")(statistics)


def statistics() -> None:
    """Run the item-statistics keeper: learns what follows what across all users and keeps it in Redis.

    One keeper runs per installation. It ends on SIGTERM or Ctrl-C after writing what it has learned.

    Examples:
      millrace statistics
    """
    from millrace.apps.cli.logs import log_to_stderr
    from millrace.kernel.settings import load_settings
    from millrace.streams.keeper.app import run_keeper

    log_to_stderr()
    run_keeper(load_settings())
