"""`millrace replay`."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn

from millrace.apps.cli.options import PANEL_APP, check_writable, quiet_kafka, stop_on_signals, write_report
from millrace.apps.terminal import plural
from millrace.kernel.errors import ConfigurationError
from millrace.kernel.progress import LineProgress
from millrace.kernel.settings import load_settings

if TYPE_CHECKING:
    from millrace.producers.replay import ReplayResult

_SPEED = re.compile(r"^(\d+(?:\.\d+)?)x?$")
_HELP = """Replay recorded ratings, or a synthetic stream, into Kafka: items first, then events in time order.

Reads ml-latest-small and ml-25m, ml-1m and ml-100k. Ctrl-C stops; --resume goes on from there.

Examples:
  millrace replay data/ml-latest-small --closed-loop    [dim]as people would[/dim]
  millrace replay data/ml-latest-small --rate 200       [dim]200 events a second[/dim]
  millrace replay ~/ml-25m --speed 10000x --start 0.9   [dim]the newest tenth[/dim]
  millrace replay --synthetic users=1000,items=5000,events=100000,seed=1"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("replay", help=_HELP, rich_help_panel=PANEL_APP, no_args_is_help=True)(replay)


def replay(
    path: Annotated[Path | None, typer.Argument(help="MovieLens folder.")] = None,
    synthetic: Annotated[str | None, typer.Option(help="Make a stream: users=,items=,events=,seed=.")] = None,
    rate: Annotated[float | None, typer.Option(help="Events per second; with --closed-loop at most.")] = None,
    speed: Annotated[str | None, typer.Option(help="Recorded time sped up, such as 10000x.")] = None,
    closed_loop: Annotated[
        bool, typer.Option("--closed-loop", help="A user's next event waits for the list answering the one before.")
    ] = False,
    window: Annotated[int, typer.Option(min=1, help="Closed loop: look this many events ahead.")] = 5000,
    in_flight: Annotated[int, typer.Option(min=1, help="Closed loop: most unanswered events.")] = 256,
    start: Annotated[float, typer.Option(help="Leave out this fraction at the beginning.")] = 0.0,
    stop: Annotated[float, typer.Option(help="End at this fraction.")] = 1.0,
    as_activities: Annotated[
        bool, typer.Option("--as-activities", help="Send views, likes, dislikes and purchases made from the ratings.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Orders ratings of the same second.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted replay ended.")] = False,
    max_lag: Annotated[int, typer.Option(min=0, help="Pause while a consumer is further behind; 0: never.")] = 20_000,
    report: Annotated[Path | None, typer.Option(help="Write the figures to this JSON file.")] = None,
) -> None:
    """Replay recorded ratings, or a synthetic stream, into Kafka."""
    from millrace.producers import ActivityPublisher
    from millrace.producers.replay import Replayer, ReplayOptions
    from millrace.producers.sources import open_source

    quiet_kafka()
    settings = load_settings()
    options = ReplayOptions(
        rate=rate, speed=_speed(speed), closed_loop=closed_loop, window=window, max_in_flight=in_flight, max_lag=max_lag
    )
    options.pacer()  # says what is wrong before anything is read or sent
    check_writable(report)
    console = Console(stderr=True)
    with console.status("Reading the data ..."):
        source = open_source(path, synthetic, start=start, stop=stop, seed=seed, as_activities=as_activities)
    state = source.state(settings.home)
    position = state.read() if resume else 0
    with ActivityPublisher(settings, linger_ms=0) as publisher, stop_on_signals() as stopped:
        if not position:
            with console.status(f"Sending {plural(len(source.items), 'item')} ..."):
                publisher.upsert_items(source.items)
        with _Bar(console, source.total, position) as bar:

            def progress(result: "ReplayResult") -> None:
                bar.update(result)
                state.write(position + result.position)

            events = source.events(position, publisher.upsert_item)
            result = Replayer(settings, publisher, options, on_progress=progress).run(events, stopped)
    figures = _figures(result)
    write_report(report, figures)
    _summary(console, result, figures)
    if result.interrupted:
        console.print("Interrupted; the same command with --resume goes on from here.")
        raise typer.Exit(130)
    state.clear()


class _Bar:
    """The progress bar: count, rate, lag and answers."""

    def __init__(self, console: Console, total: int, done: int) -> None:
        self._done = done
        self._progress = LineProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            console=console,
        )
        self._task: TaskID = self._progress.add_task("Replaying", total=total, completed=done, figures="")

    def __enter__(self) -> "_Bar":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self, result: "ReplayResult") -> None:
        lag = "-" if result.lag is None else f"{result.lag} ({result.lagging_role})"
        figures = f"{result.events_per_s:.0f}/s, lag {lag}, unanswered {result.in_flight}"
        self._progress.update(self._task, completed=self._done + result.published, figures=figures)


def _speed(text: str | None) -> float | None:
    if text is None:
        return None
    match = _SPEED.match(text)
    if match is None:
        raise ConfigurationError(f"The speed {text!r} is unusable; write it like 10000x.")
    return float(match.group(1))


def _figures(result: "ReplayResult") -> dict[str, Any]:
    from millrace.producers.replay import percentiles_ms

    return {
        "events_published": result.published,
        "events_answered": result.answered,
        "unanswered_events": result.unanswered,
        "repeated_recommendations": result.repeated,
        "fallback_lists": result.fallback,
        "lists_by_model_version": dict(result.by_version),
        "seconds": round(result.seconds, 3),
        "events_per_s": round(result.events_per_s, 1),
        "event_to_recommendation_ms": percentiles_ms(result.latencies_ms),
        "interrupted": result.interrupted,
    }


def _summary(console: Console, result: "ReplayResult", figures: dict[str, Any]) -> None:
    console.print(
        f"Published {plural(result.published, 'event')} in {result.seconds:.1f} s ({result.events_per_s:.0f}/s); "
        f"{result.answered} were answered, {result.unanswered} were not.",
        highlight=False,
    )
    percentiles = figures["event_to_recommendation_ms"]
    if percentiles is not None:
        shown = ", ".join(f"{name} {value:.0f} ms" for name, value in percentiles.items())
        console.print(f"Event to recommendation: {shown}.", highlight=False)
    elif result.published:
        console.print("No list came back: is a worker running? See millrace status.", highlight=False)
