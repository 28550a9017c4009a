"""`millrace demo`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from millrace.apps.demo.report import DemoReport
    from millrace.apps.stacks.roles import Roles
    from millrace.apps.stacks.stack import Stack

_NEXT = """[bold]Everything keeps running. In another terminal, in this folder:[/bold]
  export MILLRACE_HOME={home}
  .venv/bin/millrace status                                  [dim]lag, rates, versions[/dim]
  .venv/bin/millrace subscribe                               [dim]lists as they come[/dim]
  .venv/bin/millrace publish --user me --item 318 --value 5  [dim]rate an item[/dim]
  .venv/bin/millrace recommend me                            [dim]your list after that[/dim]
  .venv/bin/millrace dlq list                                [dim]the broken records[/dim]
Ctrl-C ends everything."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(
    data: Annotated[Path, typer.Option(help="MovieLens folder.")] = Path("data/ml-latest-small"),
    bootstrap: Annotated[float, typer.Option(help="Oldest share of the ratings, imported as history.")] = 0.6,
    events: Annotated[int, typer.Option(min=1, help="Ratings to stream after that.")] = 20_000,
    rate: Annotated[float, typer.Option(min=0.0, help="Upper limit of events per second; 0: none.")] = 120.0,
    seed: Annotated[int, typer.Option(help="Orders ratings of the same second.")] = 0,
    stay: Annotated[bool, typer.Option("--stay", help="Keep everything running at the end.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write the figures to this file as JSON.")] = None,
    stack: Annotated[str | None, typer.Option(help="embedded or local; default: MILLRACE_STACK.")] = None,
    home: Annotated[
        Path | None, typer.Option(help="Folder for data and logs, emptied at the start; default: .millrace/demo.")
    ] = None,
) -> None:
    """Run the whole system on this machine: stream, serve, learn, swap versions, and measure all of it.

    Ratings stream while the first version is trained. It has no sequence network (encoder); the next version has one.

    Examples:
      millrace demo --report r.json
      millrace demo --events 20000 --rate 0 --stay
      millrace demo --stack local
    """
    from rich.console import Console
    from rich.markup import escape

    from millrace.apps.cli.options import check_writable, write_text
    from millrace.apps.cli.supervision import supervise
    from millrace.apps.demo.options import DemoOptions
    from millrace.apps.demo.run import Demo
    from millrace.apps.demo.summary import print_summary
    from millrace.apps.stacks.choosing import measuring_home
    from millrace.kernel.settings import load_settings
    from millrace.runtime.interrupts import ended_by_signals

    console = Console()
    chosen = stack or load_settings().stack
    folder = home or measuring_home("demo", chosen)
    check_writable(report, made=folder)
    options = DemoOptions(data, bootstrap, events, rate or None, seed, folder, chosen)

    def at_the_end(figures: "DemoReport", stack: "Stack", roles: "Roles") -> None:
        print_summary(console, figures)
        if report is not None:
            write_text(report, figures.model_dump_json(indent=2) + "\n")
        if stay:
            console.print(_NEXT.format(home=escape(str(folder))))
            supervise(console, stack, roles)

    with ended_by_signals():
        result = Demo(options, console).run(at_the_end)
    if result.problems:
        raise typer.Exit(1)
