"""`millrace worker`: a recommender worker, or several."""

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("worker", rich_help_panel="Roles")(worker)


def worker(
    processes: Annotated[
        int, typer.Option(min=1, max=256, help="Workers to run on this machine, each a process with its own log.")
    ] = 1,
) -> None:
    """Run a recommender worker, which answers every event with a fresh list.

    Workers share the partitions of the events topic; more workers than partitions stay idle. A worker keeps no state of
    its own. It stops on SIGTERM or Ctrl-C after its current batch. With --processes one process supervises the others:
    it restarts those that end, and stops them all when it is stopped.

    Examples:
      millrace worker
      millrace worker --processes 4
    """
    from millrace.apps.cli.logs import log_to_stderr
    from millrace.kernel.settings import load_settings

    log_to_stderr()
    if processes > 1:
        from millrace.apps.stacks.worker_processes import run_worker_processes

        run_worker_processes(load_settings(), processes)
        return
    from millrace.streams.worker.app import run_worker

    run_worker(load_settings())
