"""`millrace import PATH`."""

from pathlib import Path
from typing import Annotated

import typer

_PANEL = "Event log and models"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("import", rich_help_panel=_PANEL)(import_folder)


def import_folder(
    path: Annotated[Path, typer.Argument(help="MovieLens folder: ml-latest-small, ml-25m, ml-1m or ml-100k.")],
    until: Annotated[float, typer.Option(min=0.0, max=1.0, help="Import this oldest part of the ratings.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Orders ratings of the same second.")] = 0,
    log_only: Annotated[bool, typer.Option("--log-only", help="Leave Redis as it is.")] = False,
) -> None:
    """Write history into the event log, then make Redis from it.

    Doing it again changes nothing. With --log-only Redis follows with the next `millrace rebuild`.

    Examples:
      millrace import data/ml-latest-small --until 0.6
      millrace import data/ml-latest-small --log-only
    """
    from rich.console import Console

    from millrace.apps.cli.rebuild import rebuild_and_report
    from millrace.apps.terminal import plural
    from millrace.consumers.importing import import_history
    from millrace.kernel.progress import counting_bar
    from millrace.kernel.settings import load_settings
    from millrace.producers.movielens import load_movielens
    from millrace.stores.event_log import open_event_log

    settings, console = load_settings(), Console(stderr=True)
    data = load_movielens(path, seed)
    first, last = data.bounds(0.0, until)
    log = open_event_log(settings)
    try:
        with counting_bar(console) as bar:
            task = bar.add_task("Importing", total=last - first)
            new = import_history(
                log, data.items, data.slice(first, last), lambda done: bar.update(task, completed=done)
            )
        console.print(
            f"{plural(new, 'new event')} and {plural(len(data.items), 'item')} are in the event log.",
            highlight=False,
        )
        if not log_only:
            rebuild_and_report(log, settings, console)
    finally:
        log.close()
