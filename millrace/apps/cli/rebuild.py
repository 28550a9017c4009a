"""`millrace rebuild`."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from millrace.kernel.settings import Settings
    from millrace.stores.event_log import EventLog
    from millrace.streams.rebuild import Progress, RebuildReport

_PANEL = "Event log and models"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("rebuild", rich_help_panel=_PANEL)(rebuild)


def rebuild(
    new_topic: Annotated[
        bool,
        typer.Option(
            "--new-topic",
            help="The topics were created anew: keep what is logged as history, and start from their beginning.",
        ),
    ] = False,
) -> None:
    """Make users and item statistics in Redis from the event log.

    Every event goes through the same functions as in workers and keeper. These may run: recommendations go on from
    what is there until it is exchanged. A role that has not begun resumes right behind the end of the log. Item indexes
    that Redis has are kept, and so are model versions. If this is killed, call it again: it goes on where it was.

    Examples:
      millrace rebuild
      millrace rebuild --new-topic
    """
    from rich.console import Console

    from millrace.kernel.settings import load_settings
    from millrace.stores.event_log import open_event_log

    settings, console = load_settings(), Console(stderr=True)
    log = open_event_log(settings)
    try:
        if new_topic:
            asyncio.run(_refuse_while_running(settings))
            console.print(f"{log.archive()} streamed events are history now.", highlight=False)
        rebuild_and_report(log, settings, console)
    finally:
        log.close()


def rebuild_and_report(log: "EventLog", settings: "Settings", console: "Console") -> None:
    """Rebuild with a progress bar and say what came of it."""
    from millrace.kernel.progress import counting_bar

    with counting_bar(console) as bar:
        task = bar.add_task("Rebuilding", total=None)
        report = asyncio.run(_rebuild(log, settings, lambda done, total: bar.update(task, completed=done, total=total)))
    resumed = f", {report.resumed_events} of them applied before a kill" if report.resumed_events else ""
    console.print(
        f"{report.events} events of {report.users} users on {report.items} items are in Redis "
        f"({report.seconds:.1f} s{resumed}); {report.replaced_users} users were written.",
        highlight=False,
    )


async def _rebuild(log: "EventLog", settings: "Settings", on_progress: "Progress") -> "RebuildReport":
    from millrace.stores.redis.connect import connected
    from millrace.streams.rebuild import rebuild

    async with connected(settings) as redis:
        return await rebuild(log, redis, settings, on_progress)


async def _refuse_while_running(settings: "Settings") -> None:
    from millrace.stores.redis.connect import connected
    from millrace.streams.rebuild import refuse_while_running

    async with connected(settings) as redis:
        await refuse_while_running(redis, settings)
