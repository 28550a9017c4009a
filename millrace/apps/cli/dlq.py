"""`millrace dlq list|show|replay`: records that could not be used."""

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from millrace.apps.cli.options import PANEL_APP, quiet_kafka
from millrace.apps.terminal import plural, printable
from millrace.kernel.errors import ConfigurationError, PoisonError, Reason
from millrace.kernel.settings import Settings, load_settings

if TYPE_CHECKING:
    from millrace.producers.dead_letters import DeadLetter

_HELP = """List, show and replay dead letters: records that could not be used, kept untouched with the reason.

docs/reference/event-schema.md explains every reason.

Examples:
  millrace dlq list --reason value_out_of_range
  millrace dlq show 0:12
  millrace dlq replay 0:12 --fix corrected.json"""

_LIST_HELP = """List dead letters with place, time, reason and error, oldest first.

Examples:
  millrace dlq list
  millrace dlq list --reason value_out_of_range --limit 20
  millrace dlq list --json | jq .error"""
_SHOW_HELP = """Show one dead letter whole: headers, key and value.

Examples:
  millrace dlq show 0:12"""
_REPLAY_HELP = """Publish dead letters to their topics again.

A record that would come straight back is left where it is, with the reason. --fix replaces the value of one
record by a corrected one. The dead-letter topic itself never changes: a replayed record stays listed.

Examples:
  millrace dlq replay --reason unknown_event_type  [dim]after configuring the type[/dim]
  millrace dlq replay 0:12 --fix corrected.json"""

# Place, time and the longest reason take 54 columns; an error is a sentence of 60 or more.
_WIDE_COLUMNS = 120
_ERROR_INDENT = 2

_Places = Annotated[list[str] | None, typer.Argument(metavar="[PARTITION:OFFSET]...", help="Which, as listed.")]
_ReasonOption = Annotated[Reason | None, typer.Option("--reason", "-r", help="Only this reason.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help=_HELP, no_args_is_help=True, rich_markup_mode="rich")
    group.command("list", help=_LIST_HELP)(list_)
    group.command("show", help=_SHOW_HELP, no_args_is_help=True)(show)
    group.command("replay", help=_REPLAY_HELP, no_args_is_help=True)(replay)
    app.add_typer(group, name="dlq", rich_help_panel=PANEL_APP)


def list_(
    reason: _ReasonOption = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the newest so many.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """List dead letters."""
    settings = _begin()
    letters = _select(settings, reason, [])
    shown = letters[-limit:] if limit else letters
    if as_json:
        for letter in shown:
            typer.echo(orjson.dumps(_fields(letter)).decode())
        return
    # What a record says is no markup, whatever brackets it holds.
    out = Console(highlight=False, markup=False)
    if not letters:
        out.print("There are no dead letters." if reason is None else f"There are no dead letters for {reason}.")
        return
    out.print(_listed(shown, out.width))
    out.print(f"\n{len(shown):,} of {plural(len(letters), 'dead letter')}.", style="dim")


def _listed(letters: "list[DeadLetter]", columns: int) -> RenderableType:
    """Return a table of dead letters; where the terminal is narrow, each error stands below its place."""
    rows = [(letter.place, _time(letter), letter.headers.reason) for letter in letters]
    errors = [Text(printable(letter.headers.error), overflow="fold") for letter in letters]
    if columns < _WIDE_COLUMNS:
        places = (Text("  ".join(row), style="dim") for row in rows)
        below = (Padding(error, (0, 0, 0, _ERROR_INDENT)) for error in errors)
        return Group(*(part for pair in zip(places, below, strict=True) for part in pair))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("place", "time", "reason", "error"):
        table.add_column(name, no_wrap=name != "error", overflow="fold")
    for row, error in zip(rows, errors, strict=True):
        table.add_row(*row, error)
    return table


def show(place: Annotated[str, typer.Argument(metavar="PARTITION:OFFSET", help="Which, as listed.")]) -> None:
    """Show one dead letter."""
    settings = _begin()
    (letter,) = _select(settings, None, [place])
    out = Console(highlight=False, soft_wrap=True)
    headers = letter.headers
    for name, text in (
        ("reason", headers.reason),
        ("error", headers.error),
        ("source", f"{headers.topic}, partition {headers.partition}, offset {headers.offset}"),
        ("time", _time(letter)),
        ("key", _part(letter.key, headers.key_bytes, headers.key_sha256, headers.key_start)),
        ("value", _part(letter.value, headers.value_bytes, headers.value_sha256, headers.value_start)),
    ):
        out.print(f"[dim]{name:>7}[/dim]  ", end="")
        out.print(printable(text), markup=False)


def _part(content: bytes | None, size_bytes: int | None, digest: str | None, start: str | None) -> str:
    if size_bytes is None:
        return _text(content)
    return f"{size_bytes:,} bytes, too large to be kept; SHA-256 {digest}, begins with {start}"


def replay(
    places: _Places = None,
    reason: _ReasonOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Every dead letter.")] = False,
    fix: Annotated[Path | None, typer.Option(help="File with the corrected value of one record; - is stdin.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Publish dead letters to their topics again."""
    from millrace.producers import ActivityPublisher
    from millrace.producers.dead_letters import corrected, replay_dead_letters

    if not (places or reason or everything):
        raise ConfigurationError("Say which dead letters to replay: PARTITION:OFFSET, --reason or --all.")
    settings = _begin()
    letters = _select(settings, reason, places or [])
    if fix is not None:
        if len(letters) != 1:
            raise ConfigurationError(f"--fix corrects one record, but {len(letters)} are selected; name one.")
        try:
            letters = [corrected(letters[0], _read(fix), settings)]
        except PoisonError as error:
            raise ConfigurationError(f"The corrected value is still unusable: {error}") from None
    out = Console(highlight=False, soft_wrap=True)
    if letters and not yes and fix != Path("-"):
        typer.confirm(f"Replay {plural(len(letters), 'dead letter')}?", abort=True)
    with ActivityPublisher(settings) as publisher:
        result = replay_dead_letters(publisher, letters, settings)
    for letter, problem in result.unusable:
        sentence = f"{letter.place} was not sent, it would come straight back: {printable(str(problem))}"
        out.print(sentence, style="yellow", markup=False)
    out.print(f"Replayed {len(result.sent):,} of {plural(len(letters), 'dead letter')}.")
    if result.unusable:
        raise typer.Exit(1)


def _begin() -> Settings:
    quiet_kafka()
    return load_settings()


def _select(settings: Settings, reason: Reason | None, places: list[str]) -> "list[DeadLetter]":
    from millrace.producers.dead_letters import read_dead_letters, select

    with Console(stderr=True).status("Reading the dead letters ..."):
        return select(read_dead_letters(settings), reason, places)


def _fields(letter: "DeadLetter") -> dict[str, Any]:
    return {
        "place": letter.place,
        **letter.headers.model_dump(mode="json"),
        "key": _text(letter.key),
        "value": _text(letter.value),
    }


def _read(path: Path) -> bytes:
    try:
        return (sys.stdin.buffer.read() if path == Path("-") else path.read_bytes()).strip()
    except OSError as error:
        raise ConfigurationError(f"The file {path} cannot be read: {error.strerror}.") from None


def _time(letter: "DeadLetter") -> str:
    return f"{datetime.fromtimestamp(letter.headers.failed_at_ms / 1000).astimezone():%Y-%m-%d %H:%M:%S}"


def _text(data: bytes | None) -> str:
    return "(none)" if data is None else data.decode("utf-8", "backslashreplace")
