"""`millrace statistics`: the item-statistics keeper."""

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("statistics", rich_help_panel="Roles")(statistics)


def statistics() -> None:
    """Run the item-statistics keeper, which counts which items follow which across all users and writes them to Redis.

    Run one per installation. It stops on SIGTERM or Ctrl-C after writing its counts.

    Examples:
      millrace statistics
    """
    from millrace.apps.cli.logs import log_to_stderr
    from millrace.kernel.settings import load_settings
    from millrace.streams.keeper.app import run_keeper

    log_to_stderr()
    run_keeper(load_settings())
