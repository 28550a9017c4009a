"""`millrace worker`: a recommender worker."""

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("worker", rich_help_panel="Roles")(worker)


def worker() -> None:
    """Run a recommender worker: answers every event with a fresh list.

    Several workers share the partitions of the events topic. A worker keeps nothing that cannot be thrown away; it ends
    on SIGTERM or Ctrl-C after the batch in hand.

    Example: millrace worker
    """
    from millrace.cli.logs import log_to_stderr
    from millrace.config import load_settings
    from streams.worker.app import run_worker

    log_to_stderr()
    run_worker(load_settings())
