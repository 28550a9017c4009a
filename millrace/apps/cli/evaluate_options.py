"""What the sub-commands of `millrace evaluate` may be asked: each option is declared once, in a group of its own.

A sub-command takes the groups that mean something to its protocol. The names of the fields are those of
`EvaluateOptions`; an option that is written otherwise on the command line is read by its parser.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from millrace.kernel.errors import ConfigurationError

if TYPE_CHECKING:
    from millrace.model.evaluation.grading import ListTiming

SYSTEM_PANEL = "The system"
RUN_PANEL = "The run"
_NO_BASELINE = "none"


def _parsed(parse: Callable[[Any], Any], default: Any) -> Any:
    """Return a field whose text on the command line is read by `parse`."""
    return field(default=default, metadata={"parse": parse})


def parse_every(text: str) -> tuple[int | None, float | None]:
    """Read `500,0.05`; an empty text or part keeps the default.

    Raises:
        ConfigurationError: A number is missing, not a number or out of range.
    """
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
    if text not in ("frozen", "live"):
        raise ConfigurationError(f"There are no {text} statistics; choose one of: frozen, live.")
    return text == "live"


def parse_weights(text: str) -> tuple[float, ...]:
    """Read `0,0.1,0.3`.

    Raises:
        ConfigurationError: One of them is not a number from 0 on.
    """
    try:
        weights = tuple(float(part) for part in text.split(",") if part)
    except ValueError:
        weights = (-1.0,)
    if not all(0.0 <= weight < float("inf") for weight in weights):
        raise ConfigurationError(f"The value {text!r} of --diversity is unusable; expected numbers from 0: 0,0.1,0.3.")
    return tuple(sorted(set(weights)))


def parse_moment(text: str) -> "ListTiming":
    """Return the moment of a name.

    Raises:
        ConfigurationError: There is no such moment.
    """
    from millrace.model.evaluation.grading import ListTiming

    try:
        return ListTiming(text)
    except ValueError:
        raise ConfigurationError(f"There is no moment {text}; choose one of: {', '.join(ListTiming)}.") from None


def parse_baselines(names: list[str] | None) -> tuple[str, ...]:
    """Return the baselines to grade; none given means the usual ones.

    Raises:
        ConfigurationError: A baseline is unknown.
    """
    from millrace.model.baselines.by_name import BASELINES
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


@dataclass
class Folder:
    """The stream, for protocols that read a MovieLens folder."""

    path: Annotated[Path, typer.Argument(help="MovieLens folder: ml-latest-small, ml-25m, ml-1m or ml-100k.")]


@dataclass
class Seed:
    """Randomness."""

    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random; orders ratings of the same second.")] = 0


@dataclass
class Parts:
    """The parts of the stream."""

    training: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of the stream before the warm-up.")] = 0.2
    warm_up: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share before the graded part.")] = 0.1


@dataclass
class Stream:
    """How the stream is replayed."""

    events: Annotated[int | None, typer.Option(min=1, help="Grade at most this many events.")] = None
    moment: Annotated[
        str, typer.Option(help="Make lists on-request (as the next event arrives) or after-event (as served).")
    ] = _parsed(parse_moment, "on-request")
    delay_s: Annotated[
        float, typer.Option("--delay", min=0.0, help="Seconds by which statistics are late, as in service.")
    ] = 0.0
    rate_per_s: Annotated[
        float | None,
        typer.Option("--rate", min=0.001, help="Events per second that --delay means; default: the events' own times."),
    ] = None
    request_time: Annotated[
        bool,
        typer.Option("--request-time/--no-request-time", help="Let features know the time since the last event."),
    ] = True


@dataclass
class System:
    """The system that is graded."""

    without: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Leave a part out (encoder, perceptron, content, ...); repeatable.",
            rich_help_panel=SYSTEM_PANEL,
        ),
    ] = _parsed(lambda names: tuple(names or ()), None)
    rhythm: Annotated[
        str,
        typer.Option(
            "--every",
            metavar="EVENTS,GROWTH",
            help="Refresh the ranker after so many events, the encoder after this growth of the log: 500,0.05.",
            rich_help_panel=SYSTEM_PANEL,
        ),
    ] = _parsed(parse_every, "")
    configuration: Annotated[
        Path | None,
        typer.Option(help="Model configuration, as `millrace tune` writes it.", rich_help_panel=SYSTEM_PANEL),
    ] = None


@dataclass
class Without:
    """Ablations alone, for protocols that choose the system's rhythm themselves."""

    without: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Leave a part out (encoder, perceptron, ...); repeatable.")
    ] = _parsed(lambda names: tuple(names or ()), None)


@dataclass
class Baselines:
    """What is graded beside the system."""

    baselines: Annotated[
        list[str] | None,
        typer.Option(
            "--baseline",
            metavar="NAME",
            help="Grade it too; repeatable; `all` or `none`. Default: popularity, recent_popularity, markov.",
            rich_help_panel=SYSTEM_PANEL,
        ),
    ] = _parsed(parse_baselines, None)


@dataclass
class Diversity:
    """Lists at other settings of diversity."""

    diversities: Annotated[
        str,
        typer.Option(
            "--diversity",
            metavar="WEIGHTS",
            help="Also make lists at these weights of dissimilarity, to see what diversity costs: 0,0.1,0.3.",
            rich_help_panel=SYSTEM_PANEL,
        ),
    ] = _parsed(parse_weights, "")


@dataclass
class Processes:
    """How the work is done."""

    parallel: Annotated[
        int,
        typer.Option(
            min=1, help="Grade systems in this many processes; figures stay equal.", rich_help_panel=RUN_PANEL
        ),
    ] = 1
    work: Annotated[Path | None, typer.Option(help="Keep checkpoints in this folder.", rich_help_panel=RUN_PANEL)] = (
        None
    )
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the checkpoints in --work.", rich_help_panel=RUN_PANEL)
    ] = False


@dataclass
class TimeSplit:
    """Options of the time split."""

    cut: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of the stream at which the weights are frozen.")
    ] = 0.9
    statistics_live: Annotated[str, typer.Option("--statistics", help="Statistics after the cut: frozen or live.")] = (
        _parsed(parse_statistics, "frozen")
    )


@dataclass
class Incremental:
    """Options of incremental learning."""

    refreshes: Annotated[int, typer.Option(min=1, help="Points of learning after the warm-up.")] = 4


@dataclass
class Masked:
    """Options of masked baskets."""

    hide: Annotated[float, typer.Option(min=0.01, max=0.9, help="Share of each basket to hide.")] = 0.2
    candidates: Annotated[
        Path | None,
        typer.Option(help="Lines of user and item to choose from; default: the hidden items and --negatives others."),
    ] = None
    negatives: Annotated[int, typer.Option(min=1, help="Drawn items beside the hidden ones.")] = 90


@dataclass
class Sequences:
    """Options of leave-one-out."""

    sequences: Annotated[Path, typer.Argument(help="File with a user and an item per line, in order of time.")]
    sampled: Annotated[
        int, typer.Option(min=0, help="Also rank among so many sampled negatives, to compare with papers.")
    ] = 0


@dataclass
class RatingFiles:
    """Files of rating prediction."""

    train: Annotated[Path, typer.Argument(help="Ratings to learn from, a user, item and rating per line.")]
    test: Annotated[Path, typer.Argument(help="Ratings to predict.")]
