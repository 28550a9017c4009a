"""`millrace status`: every component, how far behind it is, which versions serve, and what they are worth."""

import asyncio
import time
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from millrace.apps.probes import Probes
    from millrace.apps.status import Status
    from millrace.kernel.settings import Settings

WATCH_S = 1.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(status)


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Refresh every second until Ctrl-C.")] = False,
) -> None:
    """Show every component, its lag and rate, the model versions and their live quality.

    Examples:
      millrace status
      millrace status --watch
      millrace status --json
    """
    from millrace.apps.probes import Probes
    from millrace.kernel.settings import load_settings

    settings = load_settings()
    with Probes(settings) as probes:
        if as_json:
            typer.echo(_look(settings, probes).model_dump_json(indent=2))
        elif watch:
            _watch(settings, probes)
        else:
            from rich.console import Console

            from millrace.apps.cli.status_screen import render

            console = Console()
            console.print(render(_look(settings, probes), console.width))


def _look(settings: "Settings", probes: "Probes") -> "Status":
    return asyncio.run(_collect(settings, probes))


async def _collect(settings: "Settings", probes: "Probes") -> "Status":
    from millrace.apps.status import collect
    from millrace.stores.redis.stores import open_stores

    # Redis first: when it is away nothing else can be told, and the sentence about it is the answer.
    async with open_stores(settings) as stores:
        redis = await probes.redis(stores.redis)
        kafka, ends = await asyncio.to_thread(probes.kafka)
        triton = await asyncio.to_thread(probes.triton)
        return await collect(settings, stores, ends, [kafka, redis, triton])


def _watch(settings: "Settings", probes: "Probes") -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from millrace.apps.cli.status_screen import render
    from millrace.kernel.errors import TransientError

    with Live(console=Console(), auto_refresh=False, screen=True) as live:
        while True:
            try:
                live.update(render(_look(settings, probes), live.console.width), refresh=True)
            except TransientError as error:
                live.update(Text(f"{error}\nLooking again every second; Ctrl-C ends this.", style="red"), refresh=True)
            time.sleep(WATCH_S)
