"""`millrace verify`."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from millrace.kernel.settings import Settings
    from millrace.stores.event_log import EventLog
    from millrace.streams.verify import Verification

_PANEL = "Event log and models"
_DIFFERENT = 1


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify", rich_help_panel=_PANEL)(verify)


def verify(
    wait_s: Annotated[
        float,
        typer.Option("--wait", min=0.0, help="Wait so many seconds until the roles have handled all that is logged."),
    ] = 0.0,
    show: Annotated[int, typer.Option("--show", min=0, help="Print so many differences.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object with all differences.")] = False,
    report: Annotated[Path | None, typer.Option("--report", help="Write the same JSON object to this file.")] = None,
) -> None:
    """Recompute users and item statistics from the event log and compare them with Redis.

    Changes nothing, and may run while everything else does: each part is compared as of the watermarks it was read
    with. Ends with exit code 0 if all is equal, with 1 if not.

    Examples:
      millrace verify --wait 30
      millrace verify --json
    """
    from rich.console import Console

    from millrace.apps.cli.options import check_writable, write_report
    from millrace.kernel.settings import load_settings
    from millrace.stores.event_log import open_event_log

    check_writable(report)
    settings, console = load_settings(), Console(stderr=True)
    log = open_event_log(settings)
    try:
        found = _verify(log, settings, wait_s, console)
    finally:
        log.close()
    write_report(report, found.as_json())
    if as_json:
        _print_json(found)
    else:
        _print(found, show, console)
    if not found.equal:
        raise typer.Exit(_DIFFERENT)


def _verify(log: "EventLog", settings: "Settings", wait_s: float, console: "Console") -> "Verification":
    from millrace.kernel.progress import counting_bar
    from millrace.stores.redis.stores import open_stores
    from millrace.streams.verify import verify as run

    async def main() -> "Verification":
        with counting_bar(console) as bar:
            task = bar.add_task("Recomputing", total=None)
            async with open_stores(settings) as stores:
                return await run(
                    log,
                    stores,
                    settings,
                    wait_s=wait_s,
                    on_progress=lambda done, total: bar.update(task, completed=done, total=total),
                )

    return asyncio.run(main())


def _print_json(found: "Verification") -> None:
    import orjson

    typer.echo(orjson.dumps(found.as_json(), option=orjson.OPT_INDENT_2))


def _print(found: "Verification", show: int, console: "Console") -> None:
    from millrace.apps.terminal import printable

    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    for title, differences in (("differences", found.differences), ("not decided", found.undecided)):
        for difference in differences[:show]:
            typer.echo(printable(str(difference)))
        if len(differences) > show:
            say(f"... and {len(differences) - show} more {title}; --report FILE has all.")
    say(
        f"{found.events} events of {found.users} users on {found.items} items compared ({found.seconds:.1f} s): "
        f"{len(found.differences)} differences."
    )
    for role, marks in found.compared_up_to.items():
        say(f"Compared what the {role} role holds up to offset {_places(marks, found.log_end)}.")
    if found.forgotten_events:
        say(
            f"Item pages may hold more than the log: {found.forgotten_events} forgotten events are in them, without "
            "whose they were; `millrace rebuild` takes them out."
        )
    if found.undecided:
        say(f"{len(found.undecided)} more cannot be decided: the log does not reach as far as Redis.")


def _places(marks: Mapping[int, int], ends: Mapping[int, int]) -> str:
    places = (f"{mark} of partition {each} (logged to {ends.get(each, -1)})" for each, mark in sorted(marks.items()))
    return ", ".join(places) or "none: it has not begun"
