"""`millrace models list|promote|rollback`: which model version serves whom."""

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType

    from millrace.apps.promotion import ListedVersion
    from millrace.kernel.settings import Settings
    from millrace.stores.redis.values import ServingPlan

_LEGEND = (
    "learned: events it was trained on. offline: hit rate at 10 when it was made. graded: events that have graded its "
    "lists since. live, popular: hit rate at 10 of its lists and of the popularity list on the same events."
)

_HELP = """List model versions, put one in charge, go back to the one before.

Examples:
  millrace models list
  millrace models promote v000003
  millrace models rollback"""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    models = typer.Typer(help=_HELP, no_args_is_help=True, rich_markup_mode="rich")
    models.command("list")(list_versions)
    models.command()(promote)
    models.command()(rollback)
    app.add_typer(models, name="models")


def list_versions(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array instead of a table.")] = False,
) -> None:
    """List every version: what it was made from, its figures when it was made, and its live quality.

    Examples:
      millrace models list
    """
    from millrace.kernel.settings import load_settings

    versions = asyncio.run(_list(load_settings()))
    if as_json:
        import orjson

        typer.echo(orjson.dumps([each.model_dump() for each in versions], option=orjson.OPT_INDENT_2))
        return
    from rich.console import Console

    Console().print(render(versions))


def promote(version: Annotated[str, typer.Argument(metavar="VERSION", help="For instance v000003.")]) -> None:
    """Make a version champion: it serves all users within a second; no request is lost.

    It is loaded into the model server first if it is not there. A challenger's trial ends.

    Examples:
      millrace models promote v000003
    """
    from millrace.kernel.settings import load_settings

    _say(asyncio.run(_promote(load_settings(), version)))


def rollback() -> None:
    """Give the champion's place back to the version that had it before.

    Examples:
      millrace models rollback
    """
    from millrace.kernel.settings import load_settings

    _say(asyncio.run(_rollback(load_settings())))


async def _list(settings: "Settings") -> "list[ListedVersion]":
    from millrace.apps.promotion import list_versions
    from millrace.model.registry import Registry
    from millrace.stores.redis.stores import open_stores

    async with open_stores(settings) as stores:
        return list_versions(Registry(settings.registry_dir), await stores.serving.plan(), await stores.serving.live())


async def _promote(settings: "Settings", version: str) -> "ServingPlan":
    from millrace.apps.promotion import promote
    from millrace.model.registry import Registry
    from millrace.model.triton_admin import make_admin
    from millrace.stores.redis.stores import open_stores

    async with open_stores(settings) as stores:
        with closing(make_admin(settings)) as server:
            return await promote(Registry(settings.registry_dir), server, stores.serving, version)


async def _rollback(settings: "Settings") -> "ServingPlan":
    from millrace.apps.promotion import predecessor, promote
    from millrace.model.registry import Registry
    from millrace.model.triton_admin import make_admin
    from millrace.stores.redis.stores import open_stores

    registry = Registry(settings.registry_dir)
    async with open_stores(settings) as stores:
        before = predecessor(registry, await stores.serving.plan())
        with closing(make_admin(settings)) as server:
            return await promote(registry, server, stores.serving, before)


def _say(plan: "ServingPlan") -> None:
    from rich.console import Console

    before = f" instead of {plan.previous}; `millrace models rollback` goes back" if plan.previous else ""
    Console().print(f"{plan.champion} serves now{before}.", highlight=False, soft_wrap=True)


def render(versions: "list[ListedVersion]") -> "RenderableType":
    """Return the table of versions, newest last."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    if not versions:
        return Text("No model version yet. Make one: millrace train log")
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    right = ("learned", "offline", "graded", "live", "popular")
    for column in ("version", "role", "parent", "made (UTC)", *right):
        table.add_column(column, justify="right" if column in right else "left", no_wrap=True)
    for each in versions:
        table.add_row(*_cells(each), style="bold" if each.role else "")
    return Group(table, Text(_LEGEND, "dim"))


def _cells(listed: "ListedVersion") -> tuple[str, ...]:
    from datetime import UTC, datetime

    made = f"{datetime.fromtimestamp(listed.created_ms / 1000, UTC):%m-%d %H:%M}" if listed.created_ms else ""
    return (
        listed.version,
        listed.role or "",
        listed.parent or "",
        made,
        "" if listed.events is None else f"{listed.events:,}",
        _rate(listed.metrics.get("hit_rate_at_10")),
        f"{listed.events_graded:,}",
        _rate(listed.live_hit_rate_at_10),
        _rate(listed.live_popularity_hit_rate_at_10),
    )


def _rate(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:.4f}"
