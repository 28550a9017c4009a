"""`millrace publish`."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from millrace.apps.cli.options import PANEL_APP, checked_id, quiet_kafka
from millrace.apps.terminal import plural, printable
from millrace.kernel.contracts import ActivityEvent, EventPolicy
from millrace.kernel.contracts.event import RATING
from millrace.kernel.errors import ConfigurationError
from millrace.kernel.settings import load_settings

if TYPE_CHECKING:
    from millrace.producers import ActivityPublisher

_REQUIRED = {"user_id", "item_id"}
_OPTIONAL = ", ".join(name for name in ActivityEvent.model_fields if name not in _REQUIRED)
# Confirmed together; large enough for the network, small enough that a failure names few.
_BATCH = 500
_HELP = """Send activity: one event from options, or many from a file of JSON lines.

A line holds user_id and item_id, and value for a rating; event_id, ts_ms, type and context may be left out.
Every event is checked before it is sent, and the command ends when the broker has confirmed it.

Examples:
  millrace publish --user 7 --item 318 --value 4.5
  millrace publish --user 7 --item 318 --type purchase
  millrace publish events.jsonl
  zcat events.jsonl.gz | millrace publish -"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("publish", help=_HELP, rich_help_panel=PANEL_APP, no_args_is_help=True)(publish)


def publish(
    source: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="File of JSON lines; - is standard input.")
    ] = None,
    user: Annotated[str | None, typer.Option("--user", "-u", help="Who acted.")] = None,
    item: Annotated[str | None, typer.Option("--item", "-i", help="What was acted on.")] = None,
    value: Annotated[float | None, typer.Option("--value", "-v", help="0.5 to 5.0; a rating needs one.")] = None,
    type: Annotated[str, typer.Option("--type", "-t", help="rating, view, click, like ...")] = RATING,  # noqa: A002
    ts_ms: Annotated[int | None, typer.Option("--ts-ms", help="When, in ms since 1970; now if left out.")] = None,
    event_id: Annotated[str | None, typer.Option("--event-id", help="Makes a repeat harmless.")] = None,
) -> None:
    """Send activity."""
    from millrace.producers import ActivityPublisher, make_event

    quiet_kafka()
    console = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)
    if source is None:
        if user is None or item is None:
            raise ConfigurationError(
                "An event needs --user and --item; or give a file of JSON lines, - for standard input."
            )
        user, item = checked_id(user, "user"), checked_id(item, "item")
        event = make_event(user, item, value, type=type, ts_ms=ts_ms, event_id=event_id)
        with ActivityPublisher(load_settings()) as publisher:
            sent = publisher.publish(event)
        console.print(
            f"Sent {printable(event.type)} of item {printable(event.item_id)} by user {printable(event.user_id)}: "
            f"{sent.topic}, partition {sent.partition}, offset {sent.offset}."
        )
        return
    settings = load_settings()
    with _opened(source) as lines, ActivityPublisher(settings) as publisher:
        count = _publish_lines(publisher, _events(lines, settings.event_policy))
    if not count:
        raise ConfigurationError("Nothing was sent: the input holds no events.")
    console.print(f"Sent {plural(count, 'event')}.")


@contextmanager
def _opened(source: str) -> Iterator[Iterable[bytes]]:
    """Yield the lines of a file, or of standard input for `-`."""
    if source == "-":
        yield sys.stdin.buffer
        return
    try:
        with Path(source).open("rb") as file:
            yield file
    except OSError as error:
        raise ConfigurationError(f"The file {source} cannot be read: {error.strerror}.") from None


def _publish_lines(publisher: "ActivityPublisher", events: Iterator[ActivityEvent]) -> int:
    """Send batch by batch and return the number of events; an unusable line ends it after the events before it.

    Raises:
        ConfigurationError: A line is no event; the text names it and says how many were sent.
    """
    count = 0
    while True:
        batch: list[ActivityEvent] = []
        problem: ConfigurationError | None = None
        try:
            _fill(batch, events)
        except ConfigurationError as error:
            problem = error
        count += len(publisher.publish_many(batch))
        if problem is not None:
            raise ConfigurationError(f"{problem} {_sent_before(count)}")
        if len(batch) < _BATCH:
            return count


def _sent_before(count: int) -> str:
    if not count:
        return "Nothing was sent."
    return f"The {plural(count, 'event')} before it {'was' if count == 1 else 'were'} sent."


def _fill(batch: list[ActivityEvent], events: Iterator[ActivityEvent]) -> None:
    """Append up to _BATCH events; those before an unusable line are kept."""
    for event in events:
        batch.append(event)
        if len(batch) == _BATCH:
            return


def _events(lines: Iterable[bytes], policy: EventPolicy) -> Iterator[ActivityEvent]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _event(number, line, policy)


def _event(number: int, line: bytes, policy: EventPolicy) -> ActivityEvent:
    import orjson

    from millrace.producers.records import InvalidRecordError, encode_event, make_event

    try:
        fields = orjson.loads(line)
    except ValueError as error:
        raise ConfigurationError(f"Line {number} is not JSON: {error}.") from None
    if not isinstance(fields, dict) or not _REQUIRED <= fields.keys() <= ActivityEvent.model_fields.keys():
        raise ConfigurationError(
            f"Line {number} is not an event: it needs user_id and item_id, and may have only {_OPTIONAL} besides."
        )
    try:
        event = make_event(**fields)
        encode_event(event, policy)
    except InvalidRecordError as error:
        raise ConfigurationError(f"Line {number}: {error}") from None
    return event
