"""`millrace publish`."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, TextIO

import typer
from rich.console import Console

from millrace.apps.cli.options import PANEL_APP, quiet_kafka
from millrace.kernel.contracts import ActivityEvent
from millrace.kernel.contracts.event import RATING
from millrace.kernel.errors import ConfigurationError
from millrace.kernel.settings import load_settings

if TYPE_CHECKING:
    from millrace.producers import ActivityPublisher

# Confirmed together; large enough for the network, small enough that a failure names few.
_BATCH = 500
_HELP = """Send activity: one event from options, or JSON lines from standard input.

[bold]Examples[/bold]

  millrace publish --user 7 --item 318 --value 4.5

  millrace publish --user 7 --item 318 --type purchase

  millrace publish - < events.jsonl

A line holds user_id and item_id, and value for a rating; event_id, ts_ms, type and context may be left out.
Every event is checked before it is sent, and the command ends when the broker has confirmed it."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("publish", help=_HELP, rich_help_panel=PANEL_APP, no_args_is_help=True)(publish)


def publish(
    source: Annotated[str | None, typer.Argument(help="- reads JSON lines from standard input.")] = None,
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
    if source is not None and source != "-":
        raise ConfigurationError(f"The source {source!r} is unknown; give - for standard input, or --user and --item.")
    if source is None and (user is None or item is None):
        raise ConfigurationError("An event needs --user and --item; or give - to read JSON lines.")
    settings = load_settings()
    console = Console(stderr=True, markup=False, highlight=False)
    if source is None:
        event = make_event(user or "", item or "", value, type=type, ts_ms=ts_ms, event_id=event_id)
        with ActivityPublisher(settings) as publisher:
            sent = publisher.publish(event)
        console.print(
            f"Sent {event.type} of item {event.item_id} by user {event.user_id}: {sent.topic}, partition "
            f"{sent.partition}, offset {sent.offset}."
        )
        return
    with ActivityPublisher(settings) as publisher:
        count = _publish_lines(publisher, sys.stdin)
    console.print(f"Sent {count} events.")


def _publish_lines(publisher: "ActivityPublisher", lines: TextIO) -> int:
    """Send batch by batch; a broken line ends it, after the batches before were confirmed."""
    count = 0
    batch: list[ActivityEvent] = []
    for event in _events(lines):
        batch.append(event)
        if len(batch) == _BATCH:
            count += len(publisher.publish_many(batch))
            batch = []
    return count + len(publisher.publish_many(batch))


def _events(lines: TextIO) -> Iterator[ActivityEvent]:
    import orjson

    from millrace.producers import InvalidRecordError, make_event

    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            fields = orjson.loads(line)
        except ValueError as error:
            raise ConfigurationError(f"Line {number} is no JSON: {error}.") from None
        if (
            not isinstance(fields, dict)
            or not {"user_id", "item_id"} <= fields.keys() <= ActivityEvent.model_fields.keys()
        ):
            raise ConfigurationError(
                f"Line {number} is no event: expected an object with user_id and item_id, and of the rest only "
                f"{', '.join(name for name in ActivityEvent.model_fields if name not in ('user_id', 'item_id'))}."
            )
        try:
            yield make_event(**fields)
        except InvalidRecordError as error:
            raise ConfigurationError(f"Line {number}: {error}") from None
