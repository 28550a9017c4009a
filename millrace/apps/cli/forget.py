"""`millrace forget USER`."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from millrace.consumers.privacy import Forgotten
    from millrace.kernel.settings import Settings
    from millrace.stores.event_log import EventLog

_PANEL = "A person's data"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("forget", rich_help_panel=_PANEL)(forget)


def forget(
    user: Annotated[str, typer.Argument(help="The user's id.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    wait_s: Annotated[
        float, typer.Option("--wait", min=0.0, help="Wait so many seconds for events not handled yet.")
    ] = 30.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Remove a person from Redis and from the event log, for good.

    Everything may run meanwhile. What the person added to the counts of items stays, without the person. The topics
    keep records of this key until their retention ends: see docs/how-to/personal-data.md. A later event starts from
    nothing.

    Examples:
      millrace forget user-7
      millrace forget user-7 --yes --json
    """
    from rich.console import Console

    from millrace.apps.cli.options import checked_id
    from millrace.apps.terminal import plural
    from millrace.kernel.settings import load_settings
    from millrace.stores.event_log import open_event_log

    checked_id(user, "user")
    if not yes:
        typer.confirm(f"Remove all that is held about {user!r}?", abort=True)
    settings, console = load_settings(), Console(stderr=True)
    log = open_event_log(settings)
    try:
        done = asyncio.run(_forget(log, settings, user, wait_s))
    finally:
        log.close()
    if as_json:
        import json
        from dataclasses import asdict

        typer.echo(json.dumps(asdict(done)))
        return
    what = f"{plural(done.events, 'event')} removed from the event log" + (
        ", and the profile from Redis" if done.was_in_redis else ""
    )
    topics = settings.topics
    console.print(
        f"{what}. The topics {topics.events}, {topics.recommendations} and {topics.dead_letters} keep records of this "
        "key until their retention ends.",
        highlight=False,
    )


async def _forget(log: "EventLog", settings: "Settings", user: str, wait_s: float) -> "Forgotten":
    from millrace.consumers.privacy import forget as run
    from millrace.stores.redis.stores import open_stores

    async with open_stores(settings) as stores:
        return await run(log, stores, settings, user, wait_s)
