"""`millrace evaluate`: one sub-command per protocol."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from millrace.apps.cli import evaluate_options as groups

if TYPE_CHECKING:
    from rich.console import Console

    from millrace.model.evaluation.protocols import ProtocolReport

EXIT_NOT_BELIEVED = 2

_HELP = """Grade the recommender on recorded data; the code that serves makes the lists.

docs/how-to/evaluate.md explains the protocols, docs/reference/evaluation-report.md the figures.

Examples:
  millrace evaluate prequential data/ml-latest-small --report report.json
  millrace evaluate time-split data/ml-latest-small --cut 0.9
  millrace evaluate leave-one-out ml-1m.txt --baseline markov"""


@dataclass(frozen=True)
class _Protocol:
    """One sub-command.

    Args:
        name: Of the protocol, see `PROTOCOLS`.
        help: Its help text.
        groups: The options it takes.
    """

    name: str
    help: str
    groups: tuple[type[Any], ...]


_REPLAY = (groups.Folder, groups.Seed, groups.Stream, groups.System)

_PROTOCOLS = (
    _Protocol(
        "prequential",
        """Replay a stream in time order and grade each event before it is learned.

    The first 20 % train, the next 10 % are the warm-up, the rest is graded. Nothing is chosen on the graded part.
    Baselines are graded on the same events.

    Examples:
      millrace evaluate prequential data/ml-latest-small --page report.html
      millrace evaluate prequential data/ml-latest-small --without encoder
      millrace evaluate prequential ml-25m --moment after-event --delay 0.5
      millrace evaluate prequential ml-1m --parallel 2 --work run-1m --resume
    """,
        (*_REPLAY, groups.Parts, groups.Baselines, groups.Diversity, groups.Processes),
    ),
    _Protocol(
        "time-split",
        """Freeze the weights at a point in time and grade what comes after it.

    Examples:
      millrace evaluate time-split data/ml-latest-small --cut 0.9
      millrace evaluate time-split data/ml-latest-small --statistics live
    """,
        (*_REPLAY, groups.TimeSplit, groups.Baselines, groups.Processes),
    ),
    _Protocol(
        "incremental",
        """Compare frozen, refreshed and retrained weights on the same events.

    Examples:
      millrace evaluate incremental data/ml-latest-small --refreshes 4
      millrace evaluate incremental data/ml-latest-small --events 5000
    """,
        (*_REPLAY, groups.Parts, groups.Incremental, groups.Processes),
    ),
    _Protocol(
        "masked",
        """Hide a part of each user's items and grade how well they are found among others.

    Examples:
      millrace evaluate masked data/ml-latest-small --hide 0.2 --negatives 90
      millrace evaluate masked data/ml-latest-small --candidates candidates.txt
    """,
        (groups.Folder, groups.Seed, groups.Masked, groups.System, groups.Baselines),
    ),
    _Protocol(
        "leave-one-out",
        """Hide the last item of each sequence and rank the whole catalogue.

    Examples:
      millrace evaluate leave-one-out ml-1m.txt --baseline markov
      millrace evaluate leave-one-out ml-1m.txt --sampled 100
    """,
        (groups.Sequences, groups.Seed, groups.Without, groups.Baselines),
    ),
    _Protocol(
        "ratings",
        """Predict the ratings of one file after learning another.

    Examples:
      millrace evaluate ratings u1.base u1.test
      millrace evaluate ratings u1.base u1.test --report ratings.json
    """,
        (groups.RatingFiles, groups.Seed),
    ),
)


@dataclass
class _Output:
    """Where the figures go; every protocol has these options."""

    report: Annotated[
        Path | None, typer.Option(help="Write the figures to this file as JSON.", rich_help_panel=groups.RUN_PANEL)
    ] = None
    page: Annotated[
        Path | None, typer.Option(help="Write a page of plots to this file.", rich_help_panel=groups.RUN_PANEL)
    ] = None


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help=_HELP, no_args_is_help=True, rich_markup_mode="rich")
    for protocol in _PROTOCOLS:
        group.command(protocol.name, help=protocol.help)(_command(protocol))
    app.add_typer(group, name="evaluate", rich_help_panel="Event log and models")


def _command(protocol: _Protocol) -> Callable[..., None]:
    """Return the function of a sub-command, whose parameters are the fields of its groups."""

    def run(**values: Any) -> None:
        output = _Output(values.pop("report"), values.pop("page"))
        _run(protocol.name, _parsed(protocol, values), output)

    parameters = [one for group in (*protocol.groups, _Output) for one in _parameters(group)]
    run.__signature__ = inspect.Signature(sorted(parameters, key=lambda one: one.default is not one.empty))  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run


def _parameters(group: type[Any]) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            one.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if one.default is MISSING else one.default,
            annotation=hints[one.name],
        )
        for one in fields(group)
    ]


def _parsed(protocol: _Protocol, values: dict[str, Any]) -> dict[str, Any]:
    """Return the values as `EvaluateOptions` has them."""
    parsers = {one.name: one.metadata["parse"] for group in protocol.groups for one in fields(group) if one.metadata}
    parsed = {name: parsers[name](value) if name in parsers else value for name, value in values.items()}
    if "rhythm" in parsed:
        parsed["ranker_events"], parsed["encoder_growth"] = parsed.pop("rhythm")
    return parsed


def _run(protocol: str, values: dict[str, Any], output: _Output) -> None:
    from millrace.apps.cli.blas import use_one_thread

    use_one_thread()
    from rich.console import Console

    from millrace.apps.cli.options import check_writable
    from millrace.model.evaluation.options import EvaluateOptions
    from millrace.model.evaluation.protocols import run_protocol

    check_writable(output.report, output.page)
    options: EvaluateOptions = EvaluateOptions(protocol=protocol, **values)
    _finish(run_protocol(options, Console(stderr=True)), output.report, output.page, Console())


def _finish(report: "ProtocolReport", figures: Path | None, page: Path | None, console: "Console") -> None:
    """Write and print; a report that cannot be believed ends with an exit code of its own."""
    from millrace.apps.cli.options import write_report, write_text

    write_report(figures, report.as_json())
    if page is not None:
        write_text(page, report.page())
    report.show(console)
    for problem in report.problems:
        console.print(problem, style="red", markup=False)
    if report.problems:
        raise typer.Exit(EXIT_NOT_BELIEVED)
