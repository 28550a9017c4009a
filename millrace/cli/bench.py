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
    stack: Annotated[str, typer.Option(help="Which servers to start.")] = "embedded",
    report: Annotated[Path | None, typer.Option(help="Write the figures to this file as JSON.")] = None,
    home: Annotated[Path, typer.Option(help="Folder for data and logs; emptied at the start.")] = Path(
        ".millrace/bench"
    ),
) -> None:
    """Measure throughput beside a bare Faust agent, CPU per event, and latency at 100, 300 and 500 events/s.

    Examples:
      millrace bench --report bench.json
      millrace bench --soak 100000
    """
    from rich.console import Console

    from load_tests.bench.run import Bench, BenchOptions
    from load_tests.bench.summary import print_summary
    from millrace.errors import ConfigurationError
    from millrace.stacks.signals import ended_by_signals

    if stack != "embedded":
        raise ConfigurationError(f"There is no stack {stack} to start here; use --stack embedded.")
    console = Console()
    options = BenchOptions(data, events, seconds_per_rate=seconds_per_rate, soak_events=soak, home=home)
    with ended_by_signals():
        result = Bench(options, console).run()
    print_summary(console, result)
    if report is not None:
        report.write_text(result.model_dump_json(indent=2) + "\n")
