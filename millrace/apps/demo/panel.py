"""The live figures of the demo and the followed user's list, drawn for a terminal or as one line of text."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

# Each row of figures is two pairs, so that it fits a terminal of 80 columns.
_PAIRS = 2


@dataclass(slots=True)
class StreamFigures:
    """The current figures while events stream; None where nothing is known yet."""

    published: int = 0
    total: int = 0
    events_per_s: float = 0.0
    unanswered: int = 0
    p50_ms: float | None = None
    p99_ms: float | None = None
    hit_rate: float | None = None
    popularity_hit_rate: float | None = None
    version: str | None = None
    learning: str = ""


@dataclass(frozen=True, slots=True)
class ListLine:
    """One line of the followed user's list."""

    rank: int
    title: str
    predicted_stars: float | None
    reason: str
    is_new: bool


@dataclass(frozen=True, slots=True)
class FollowedList:
    """The followed user's newest list and the event that caused it."""

    user_id: str
    cause: str
    lines: Sequence[ListLine]


def drawing(figures: StreamFigures, followed: FollowedList | None) -> RenderableType:
    """Return the figures and, once there is one, the followed user's list."""
    table = Table.grid(padding=(0, 3, 0, 0))
    pairs = list(_cells(figures).items())
    for first in range(0, len(pairs), _PAIRS):
        row = pairs[first : first + _PAIRS]
        table.add_row(*(text for name, value in row for text in (Text(name, style="dim"), Text(value, style="bold"))))
    return table if followed is None else Group(table, _followed_panel(followed))


def line(figures: StreamFigures) -> str:
    """Return the figures as one line of text."""
    parts = [
        f"{figures.published:,}/{figures.total:,} events",
        f"{figures.events_per_s:,.0f}/s",
        f"hit rate at 10 {_rate(figures.hit_rate)} (popularity {_rate(figures.popularity_hit_rate)})",
        f"event to list p50 {_ms(figures.p50_ms)} p99 {_ms(figures.p99_ms)}",
        f"model {figures.version or 'none yet'}",
        figures.learning,
    ]
    return "  " + ", ".join(part for part in parts if part)


def _cells(figures: StreamFigures) -> dict[str, str]:
    return {
        "events": f"{figures.published:,} of {figures.total:,}",
        "events/s": f"{figures.events_per_s:,.0f}",
        "hit rate at 10": _rate(figures.hit_rate),
        "popularity list": _rate(figures.popularity_hit_rate),
        "event to list": f"p50 {_ms(figures.p50_ms)}, p99 {_ms(figures.p99_ms)}",
        "unanswered": f"{figures.unanswered:,}",
        "model": figures.version or "none yet: lists come from online counts",
        "training": figures.learning or "-",
    }


def _followed_panel(followed: FollowedList) -> Panel:
    table = Table.grid(padding=(0, 1, 0, 0), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=3, no_wrap=True, overflow="ellipsis")
    table.add_column(no_wrap=True)
    table.add_column(ratio=2, no_wrap=True, overflow="ellipsis")
    for entry in followed.lines:
        stars = "" if entry.predicted_stars is None else f"{entry.predicted_stars:.1f} stars"
        mark = Text(f"{'+' if entry.is_new else ' '} {entry.rank}.", style="green" if entry.is_new else "")
        table.add_row(mark, Text(entry.title), stars, Text(entry.reason, style="dim"))
    title = Text(f"user {followed.user_id} {followed.cause}", overflow="ellipsis")
    return Panel(table, title=title, title_align="left", border_style="cyan")


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"
