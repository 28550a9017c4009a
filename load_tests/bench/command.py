"""`millrace bench`."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(bench)


def bench(
    data: Annotated[Path, typer.Option(help="MovieLens folder.")] = Path("data/ml-latest-small"),
    events: Annotated[int, typer.Option(min=100, help="Records of the throughput measurement.")] = 10_000,
    seconds_per_rate: Annotated[float, typer.Option(min=1.0, help="How long each steady rate is held.")] = 10.0,
    soak: Annotated[int, typer.Option(min=0, help="Synthetic events of the memory measurement.")] = 0,
    stack: Annotated[str | None, typer.Option(help="embedded or local; default: MILLRACE_STACK.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write the figures to this file as JSON.")] = None,
    home: Annotated[
        Path | None, typer.Option(help="Folder for data and logs, emptied at the start; default: .millrace/bench.")
    ] = None,
) -> None:
    """Measure throughput beside a bare Faust agent, CPU per event, and latency at 100, 300 and 500 events/s.

    Examples:
      millrace bench --report bench.json
      millrace bench --soak 100000
      millrace bench --stack local
    """
    from rich.console import Console

    from millrace.apps.cli.options import check_writable, write_text
    from millrace.apps.stacks.choosing import measuring_home
    from millrace.kernel.settings import load_settings
    from millrace.load_tests.bench.run import Bench, BenchOptions
    from millrace.load_tests.bench.summary import print_summary
    from millrace.runtime.interrupts import ended_by_signals

    console = Console()
    chosen = stack or load_settings().stack
    folder = home or measuring_home("bench", chosen)
    check_writable(report, made=folder)
    options = BenchOptions(data, events, seconds_per_rate=seconds_per_rate, soak_events=soak, home=folder, stack=chosen)
    with ended_by_signals():
        result = Bench(options, console).run()
    print_summary(console, result)
    if report is not None:
        write_text(report, result.model_dump_json(indent=2) + "\n")
