"""`millrace evaluate PATH`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from millrace.model.evaluation.protocols import ProtocolReport
    from millrace.model.evaluation.test_then_train import Moment

EXIT_NOT_BELIEVED = 2
_FILES_PANEL = "Protocols that read files of their own"
_SYSTEM_PANEL = "The system"
_OTHERS_PANEL = "Other protocols"
_RUN_PANEL = "The run"
_NO_BASELINE = "none"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Event log and models")(evaluate)


def evaluate(
    path: Annotated[
        Path | None, typer.Argument(help="MovieLens folder: ml-latest-small, ml-25m, ml-1m or ml-100k.")
    ] = None,
    protocol: Annotated[
        str, typer.Option(help="prequential, leave-one-out, ratings, time-split, incremental or masked.")
    ] = "prequential",
    seed: Annotated[int, typer.Option(min=0, help="Of everything random; orders ratings of the same second.")] = 0,
    training: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of the stream before the warm-up.")] = 0.2,
    warm_up: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share before the graded part.")] = 0.1,
    events: Annotated[int | None, typer.Option(min=1, help="Read at most this many events of the graded part.")] = None,
    moment: Annotated[
        str, typer.Option(help="Lists are made on-request (as the next event arrives) or after-event (as served).")
    ] = "on-request",
    delay: Annotated[float, typer.Option(min=0.0, help="Seconds by which statistics are late, as in service.")] = 0.0,
    rate: Annotated[
        float | None,
        typer.Option(min=0.001, help="Events per second that --delay means. Default: the events' own times."),
    ] = None,
    no_request_time: Annotated[
        bool, typer.Option("--no-request-time", help="Withhold how long ago the user's last event was.")
    ] = False,
    without: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Leave a part out (encoder, perceptron, content, ...); may be repeated.",
            rich_help_panel=_SYSTEM_PANEL,
        ),
    ] = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Grade it too; may be repeated; `all` or `none`. Default: popularity, recent_popularity, markov.",
            rich_help_panel=_SYSTEM_PANEL,
        ),
    ] = None,
    diversity: Annotated[
        str,
        typer.Option(
            metavar="WEIGHTS",
            help="Also make lists at these weights of dissimilarity, to see what diversity costs: 0,0.1,0.3.",
            rich_help_panel=_SYSTEM_PANEL,
        ),
    ] = "",
    every: Annotated[
        str,
        typer.Option(
            metavar="EVENTS,GROWTH",
            help="Refresh the ranker after this many events and the encoder after this growth of the log: 500,0.05.",
            rich_help_panel=_SYSTEM_PANEL,
        ),
    ] = "",
    configuration: Annotated[
        Path | None,
        typer.Option(help="What was chosen of the model, as `millrace tune` writes it.", rich_help_panel=_SYSTEM_PANEL),
    ] = None,
    sequences: Annotated[
        Path | None, typer.Option(help="Lines of user and item in order (leave-one-out).", rich_help_panel=_FILES_PANEL)
    ] = None,
    train: Annotated[
        Path | None, typer.Option(help="Ratings to learn from (ratings).", rich_help_panel=_FILES_PANEL)
    ] = None,
    test: Annotated[
        Path | None, typer.Option(help="Ratings to predict (ratings).", rich_help_panel=_FILES_PANEL)
    ] = None,
    cut: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Weights are frozen at this share of the stream (time-split).",
            rich_help_panel=_OTHERS_PANEL,
        ),
    ] = 0.9,
    statistics: Annotated[
        str, typer.Option(help="After the cut: frozen, or live (time-split).", rich_help_panel=_OTHERS_PANEL)
    ] = "frozen",
    refreshes: Annotated[
        int, typer.Option(min=1, help="Points of learning after the cut (incremental).", rich_help_panel=_OTHERS_PANEL)
    ] = 4,
    sampled: Annotated[
        int,
        typer.Option(
            min=0,
            help="Rank among this many sampled negatives besides, only to compare with papers (leave-one-out).",
            rich_help_panel=_OTHERS_PANEL,
        ),
    ] = 0,
    hide: Annotated[
        float,
        typer.Option(min=0.01, max=0.9, help="Share of each basket to hide (masked).", rich_help_panel=_OTHERS_PANEL),
    ] = 0.2,
    candidates: Annotated[
        Path | None,
        typer.Option(
            help="Lines of user and item to choose from (masked). Default: the hidden items and --negatives others.",
            rich_help_panel=_OTHERS_PANEL,
        ),
    ] = None,
    negatives: Annotated[
        int,
        typer.Option(min=1, help="Drawn items beside the hidden ones (masked).", rich_help_panel=_OTHERS_PANEL),
    ] = 90,
    parallel: Annotated[
        int,
        typer.Option(
            min=1, help="Grade systems in this many processes; the figures stay the same.", rich_help_panel=_RUN_PANEL
        ),
    ] = 1,
    work: Annotated[
        Path | None, typer.Option(help="Keep checkpoints in this folder.", rich_help_panel=_RUN_PANEL)
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoints in --work.", rich_help_panel=_RUN_PANEL)
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write the figures to this file as JSON.", rich_help_panel=_RUN_PANEL)
    ] = None,
    page: Annotated[
        Path | None, typer.Option(help="Write a page of plots to this file as HTML.", rich_help_panel=_RUN_PANEL)
    ] = None,
) -> None:
    """Grade the recommender on a recorded stream, before it learns each event.

    In time order, the first 20 % train, the next 10 % are the warm-up, the rest
    is graded. Nothing is chosen on the graded part. The code that serves makes
    the lists; baselines are graded on the same events. See docs/reference/evaluation-report.md.

    Examples:
      millrace evaluate data/ml-latest-small --report report.json --page report.html
      millrace evaluate data/ml-latest-small --events 5000 --without encoder --baseline none
      millrace evaluate data/ml-latest-small --moment after-event --delay 0.5 --rate 120
      millrace evaluate ml-1m --parallel 2 --work run-1m --resume
    """
    from millrace.apps.cli.blas import use_one_thread

    use_one_thread()
    from rich.console import Console

    from millrace.apps.cli.options import check_writable
    from millrace.model.evaluation.options import EvaluateOptions
    from millrace.model.evaluation.protocols import run_protocol

    console = Console()
    ranker_events, encoder_growth = parse_every(every)
    options = EvaluateOptions(
        path=path,
        protocol=protocol,
        seed=seed,
        training=training,
        warm_up=warm_up,
        events=events,
        moment=parse_moment(moment),
        delay_s=delay,
        rate_per_s=rate,
        request_time=not no_request_time,
        without=tuple(without or ()),
        baselines=parse_baselines(baseline),
        diversities=parse_weights(diversity),
        ranker_events=ranker_events,
        encoder_growth=encoder_growth,
        configuration=configuration,
        parallel=parallel,
        work=work,
        resume=resume,
        sequences=sequences,
        train=train,
        test=test,
        cut=cut,
        statistics_live=parse_statistics(statistics),
        refreshes=refreshes,
        sampled=sampled,
        hide=hide,
        candidates=candidates,
        negatives=negatives,
    )
    check_writable(report, page)
    _finish(run_protocol(options, Console(stderr=True)), report, page, console)


def parse_every(text: str) -> tuple[int | None, float | None]:
    """Read `500,0.05`; an empty text or part keeps the default.

    Raises:
        ConfigurationError: A number is missing, not a number or out of range.
    """
    from millrace.kernel.errors import ConfigurationError

    if not text:
        return None, None
    events, _, growth = text.partition(",")
    try:
        parsed = (int(events) if events else None, float(growth) if growth else None)
    except ValueError:
        parsed = (0, None)
    if (parsed[0] is not None and parsed[0] < 1) or (parsed[1] is not None and not 0.0 < parsed[1] <= 1.0):
        raise ConfigurationError(
            f"The value {text!r} of --every is unusable; expected a number of events and a growth up to 1, as 500,0.05."
        )
    return parsed


def parse_statistics(text: str) -> bool:
    """Return whether statistics go on learning.

    Raises:
        ConfigurationError: It is neither `frozen` nor `live`.
    """
    from millrace.kernel.errors import ConfigurationError

    if text not in ("frozen", "live"):
        raise ConfigurationError(f"There are no {text} statistics; choose one of: frozen, live.")
    return text == "live"


def parse_weights(text: str) -> tuple[float, ...]:
    """Read `0,0.1,0.3`.

    Raises:
        ConfigurationError: One of them is not a number from 0 on.
    """
    from millrace.kernel.errors import ConfigurationError

    try:
        weights = tuple(float(part) for part in text.split(",") if part)
    except ValueError:
        weights = (-1.0,)
    if not all(0.0 <= weight < float("inf") for weight in weights):
        raise ConfigurationError(f"The value {text!r} of --diversity is unusable; expected numbers from 0: 0,0.1,0.3.")
    return tuple(sorted(set(weights)))


def parse_moment(text: str) -> "Moment":
    """Return the moment of a name.

    Raises:
        ConfigurationError: There is no such moment.
    """
    from millrace.kernel.errors import ConfigurationError
    from millrace.model.evaluation.test_then_train import Moment

    try:
        return Moment(text)
    except ValueError:
        raise ConfigurationError(f"There is no moment {text}; choose one of: {', '.join(Moment)}.") from None


def parse_baselines(names: list[str] | None) -> tuple[str, ...]:
    """Return the baselines to grade; none given means the usual ones.

    Raises:
        ConfigurationError: A baseline is unknown.
    """
    from millrace.kernel.errors import ConfigurationError
    from millrace.model.baselines.registry import BASELINES
    from millrace.model.evaluation.options import ALL_BASELINES, DEFAULT_BASELINES

    if not names:
        return DEFAULT_BASELINES
    if names == [_NO_BASELINE]:
        return ()
    if ALL_BASELINES in names:
        return tuple(BASELINES)
    for name in names:
        if name not in BASELINES:
            raise ConfigurationError(f"There is no baseline {name}; choose from: {', '.join(BASELINES)}, all, none.")
    return tuple(dict.fromkeys(names))


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
