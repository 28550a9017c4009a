"""`millrace export USER`."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from millrace.kernel.settings import Settings
    from millrace.stores.event_log import EventLog

_PANEL = "A person's data"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export", rich_help_panel=_PANEL)(export)


def export(
    user: Annotated[str, typer.Argument(help="The user's id.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file; - is the terminal, as without it.")
    ] = None,
) -> None:
    """Write all that Redis and the event log hold about a person, as one JSON object.

    Examples:
      millrace export user-7
      millrace export user-7 --output user-7.json
      millrace export user-7 -o - | jq .profile
    """
    import orjson

    from millrace.apps.cli.options import checked_id, write_text
    from millrace.kernel.settings import load_settings
    from millrace.stores.event_log import open_event_log

    settings = load_settings()
    log = open_event_log(settings)
    try:
        held = asyncio.run(_export(log, settings, checked_id(user, "user")))
    finally:
        log.close()
    text = orjson.dumps(held, option=orjson.OPT_INDENT_2).decode()
    if output is None or output == Path("-"):
        typer.echo(text)
    else:
        write_text(output, text + "\n")


async def _export(log: "EventLog", settings: "Settings", user: str) -> dict[str, Any]:
    from millrace.consumers.privacy import export as run
    from millrace.stores.redis.stores import open_stores

    async with open_stores(settings) as stores:
        return await run(log, stores, settings, user)
