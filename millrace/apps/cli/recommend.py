"""`millrace recommend USER`: profile, history and current list of one user."""

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType

    from millrace.apps.profile import ListEntry, ShownList, UserProfile
    from millrace.kernel.settings import Settings

SHOWN_GENRES = 5
_REASONS = {"because_you_rated": "because of", "trending": "trending", "new": "new", "explore": "to find out"}
_FULL_STAR, _HALF_STAR = "★", "½"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(recommend)


def recommend(
    user: Annotated[str, typer.Argument(metavar="USER", help="The user's id.")],
    history: Annotated[int, typer.Option(min=0, max=200, help="How many of the newest events to show.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """Show what is known of a user and the list they were last shown, with the reason of each item.

    A user without events is shown the list that a new user gets now.

    Examples:
      millrace recommend 7
      millrace recommend 7 --history 20
      millrace recommend 7 --json
    """
    from millrace.apps.cli.options import checked_id
    from millrace.kernel.settings import load_settings

    profile = asyncio.run(_read(load_settings(), checked_id(user, "user"), history))
    if as_json:
        typer.echo(profile.model_dump_json(indent=2))
        return
    from rich.console import Console

    Console().print(render(profile))


async def _read(settings: "Settings", user_id: str, history_length: int) -> "UserProfile":
    from millrace.apps.profile import read_profile
    from millrace.stores.redis.stores import open_stores

    async with open_stores(settings) as stores:
        return await read_profile(stores, user_id, history_length)


def render(profile: "UserProfile") -> "RenderableType":
    """Return the whole answer."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [_summary(profile)]
    if profile.history:
        parts += [Text(), _history(profile)]
    return Group(*parts, Text(), _shown(profile))


def _summary(profile: "UserProfile") -> "RenderableType":
    from rich.text import Text

    from millrace.apps.terminal import ID_WIDTH, plural, printable, shorten_middle

    text = Text.assemble(("User ", "bold"), (shorten_middle(printable(profile.user_id), ID_WIDTH), "bold cyan"))
    if profile.mean_value is None or profile.last_ts_ms is None:
        return text.append("  no events yet")
    text.append(
        f"  {plural(profile.events, 'event')} on {plural(profile.items_touched, 'item')}, "
        f"mean {profile.mean_value:.2f}, "
        f"last {_day(profile.last_ts_ms)}"
    )
    tastes = (f"{each.genre} {each.share:.0%} ({each.mean_value:.1f})" for each in profile.genres[:SHOWN_GENRES])
    genres = printable(", ".join(tastes))
    return text.append(f"\nMostly {genres}") if genres else text


def _history(profile: "UserProfile") -> "RenderableType":
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("value", no_wrap=True)
    table.add_column("newest first")
    table.add_column("when", no_wrap=True)
    for entry in profile.history:
        table.add_row(stars(entry.value), _title(entry.item_id, entry.title), _day(entry.ts_ms))
    return table


def _shown(profile: "UserProfile") -> "RenderableType":
    from rich.console import Group
    from rich.text import Text

    if profile.shown is None:
        return Text("No list yet: the first one comes with the first event that a worker handles.", "yellow")
    whose = "A new user gets this list now" if profile.for_new_users else "The list last shown"
    return Group(Text.assemble((whose, "bold"), f"  {_origin(profile.shown)}"), _list(profile.shown))


def _origin(shown: "ShownList") -> str:
    parts = [f"{shown.model_version} ({shown.arm})" if shown.model_version else "from the online counts"]
    if shown.fallback:
        parts.append(shown.fallback.replace("_", " "))
    if shown.generated_ts_ms is not None:
        parts.append(f"{datetime.fromtimestamp(shown.generated_ts_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC")
    return ", ".join(parts)


def _list(shown: "ShownList") -> "RenderableType":
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(justify="right", no_wrap=True)
    table.add_column()
    table.add_column(no_wrap=True)
    table.add_column()
    for entry in shown.items:
        rating = "" if entry.predicted_rating is None else f"{entry.predicted_rating:.1f} ★"
        table.add_row(f"{entry.rank}.", _title(entry.item_id, entry.title), rating, _reason(entry))
    return table


def _reason(entry: "ListEntry") -> "RenderableType":
    from rich.text import Text

    if entry.rated_since:
        return Text("rated since", "dim")
    words = _REASONS.get(entry.reason or "", entry.reason or "")
    return _plain(f"{words} {entry.because_title}" if entry.because_title else words)


def _title(item_id: str, title: str) -> "RenderableType":
    """Return an item's title; an item without one has its id there, which is shortened in the middle."""
    from millrace.apps.terminal import ID_WIDTH, printable, shorten_middle

    return _plain(shorten_middle(printable(title), ID_WIDTH) if title == item_id else title)


def _plain(text: str) -> "RenderableType":
    """Return text from the catalogue on one line: brackets are no markup, and control characters are escaped.

    Rich narrows the columns that may wrap; a cell of one line is cut there, and the other columns stay whole.
    """
    from rich.text import Text

    from millrace.apps.terminal import printable

    return Text(printable(text), no_wrap=True, overflow="ellipsis")


def stars(value: float) -> str:
    """Return a value of 0.5 to 5 as stars; what is not a multiple of a half is rounded to one."""
    halves = round(value * 2)
    return _FULL_STAR * (halves // 2) + _HALF_STAR * (halves % 2)


def _day(ts_ms: int) -> str:
    return f"{datetime.fromtimestamp(ts_ms / 1000, UTC):%Y-%m-%d}"
