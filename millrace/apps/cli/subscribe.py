"""`millrace subscribe`."""

from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console

from millrace.apps.cli.options import PANEL_APP, checked_id, quiet_kafka, stop_on_signals
from millrace.apps.terminal import printable
from millrace.kernel.settings import load_settings

_HELP = """Show recommendations as they are published, with titles, scores, reasons and latency.

Ctrl-C stops.

Examples:
  millrace subscribe --user 7                    [dim]one user's lists from now on[/dim]
  millrace subscribe --from earliest --limit 3   [dim]the oldest three lists[/dim]
  millrace subscribe --from resume --group mail  [dim]from where the group stopped[/dim]
  millrace subscribe --json | jq .items          [dim]one JSON object per line[/dim]"""


class From(StrEnum):
    """Where to begin."""

    LATEST = "latest"
    EARLIEST = "earliest"
    RESUME = "resume"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("subscribe", help=_HELP, rich_help_panel=PANEL_APP)(subscribe)


def subscribe(
    user: Annotated[str | None, typer.Option("--user", "-u", help="Only this user's lists.")] = None,
    start: Annotated[
        From, typer.Option("--from", help="From now on, from the beginning, or where the group stopped.")
    ] = From.LATEST,
    group: Annotated[str, typer.Option(help="Group name for --from resume.")] = "subscriber",
    limit: Annotated[int | None, typer.Option(min=1, help="End after so many lists.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Show this many places of a list.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line, as in the topic.")] = False,
) -> None:
    """Show recommendations as they are published."""
    from millrace.apps.cli.subscribe_screen import render
    from millrace.apps.cli.titles import open_titles
    from millrace.consumers.subscriber import Received, RecommendationSubscriber

    if user is not None:
        checked_id(user, "user")
    quiet_kafka()
    settings = load_settings()
    # Ids and titles are no markup, whatever brackets they hold.
    out = Console(highlight=False, markup=False)
    notes = Console(stderr=True, highlight=False, markup=False)
    with RecommendationSubscriber(settings, start=start.value, group=group, user_id=user) as subscriber:
        if as_json:

            def show(received: Received) -> None:
                typer.echo(received.recommendation.model_dump_json())

        else:
            titles = open_titles(settings, lambda sentence: notes.print(sentence, style="yellow"))
            who = f"user {printable(user)}" if user else "all users"
            notes.print(f"Waiting for lists of {who} ({start.value}); Ctrl-C stops.", style="dim")

            def show(received: Received) -> None:
                titles.learn(received.recommendation)
                out.print(render(received, titles, top))

        with stop_on_signals() as stop:
            subscriber.run(show, limit=limit, stop=stop)
