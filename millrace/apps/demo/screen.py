"""What a person sees while the demo runs: a live panel on a terminal, a line every few seconds elsewhere."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

# Without a terminal a line now and then is progress enough, and keeps a log readable.
PLAIN_INTERVAL_S = 5.0


@dataclass(slots=True)
class StreamFigures:
    """The figures of the moment while the stream runs; None where nothing is known yet."""

    published: int = 0
    total: int = 0
    events_per_s: float = 0.0
    lag: int = 0
    p50_ms: float | None = None
    p99_ms: float | None = None
    hit_rate: float | None = None
    popularity_hit_rate: float | None = None
    version: str | None = None
    learning: str = ""


@dataclass(frozen=True, slots=True)
class FollowedList:
    """The followed user's newest list and what caused it."""

    user_id: str
    cause: str
    lines: Sequence[str]


@dataclass(slots=True)
class Screen:
    """Draws phases, figures and the followed user; a context manager.

    Args:
        console: Where to draw.
    """

    console: Console
    _figures: StreamFigures | None = None
    _followed: FollowedList | None = None
    _last_plain_s: float = 0.0
    _progress: Progress = field(init=False)
    _live: Live | None = None

    def __post_init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=40), TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(), console=self.console,
        )  # fmt: skip

    def __enter__(self) -> "Screen":
        if self.console.is_terminal:
            self._live = Live(self._render(), console=self.console, refresh_per_second=4)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.update(self._render(), refresh=True)
            self._live.stop()

    def phase(self, description: str) -> "PhaseBar":
        """Begin a phase; its bar stands at 0 until `advance` is called."""
        if self._live is None:
            self.console.print(f"{description} ...")
        return PhaseBar(self, self._progress, description)

    def say(self, message: str) -> None:
        """Print one line that stays."""
        self.console.print(message, soft_wrap=True)

    def show(self, figures: StreamFigures, followed: FollowedList | None) -> None:
        """Draw the newest figures."""
        self._figures, self._followed = figures, followed
        self.refresh()
        now_s = time.monotonic()
        if self._live is None and now_s - self._last_plain_s >= PLAIN_INTERVAL_S:
            self._last_plain_s = now_s
            self.console.print(_plain(figures), soft_wrap=True, highlight=False)

    def refresh(self) -> None:
        """Redraw with what is known."""
        if self._live is not None:
            self._live.update(self._render())

    def _render(self) -> RenderableType:
        parts: list[RenderableType] = [self._progress]
        if self._figures is not None:
            parts.append(_figures_table(self._figures))
        if self._followed is not None:
            parts.append(_followed_panel(self._followed))
        return Group(*parts)


class PhaseBar:
    """One phase's progress bar; a context manager that fills the bar on success."""

    def __init__(self, screen: Screen, progress: Progress, description: str) -> None:
        self._screen = screen
        self._progress = progress
        self._task = progress.add_task(description, total=1.0)
        self._started_s = time.monotonic()
        self.seconds = 0.0

    def __enter__(self) -> "PhaseBar":
        self._screen.refresh()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seconds = time.monotonic() - self._started_s
        if kind is None:
            self.advance(1.0)

    def advance(self, fraction: float) -> None:
        """Set how much of the phase is done, 0 to 1."""
        self._progress.update(self._task, completed=fraction)
        self._screen.refresh()


def _figures_table(figures: StreamFigures) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(4):
        table.add_column(min_width=18)
    table.add_row(
        _cell("events", f"{figures.published:,} / {figures.total:,}"),
        _cell("events/s", f"{figures.events_per_s:,.0f}"),
        _cell("waiting for a list", f"{figures.lag:,}"),
        _cell("event to list", f"p50 {_ms(figures.p50_ms)}  p99 {_ms(figures.p99_ms)}"),
    )
    table.add_row(
        _cell("hit rate at 10", _rate(figures.hit_rate)),
        _cell("popularity list", _rate(figures.popularity_hit_rate)),
        _cell("model", figures.version or "-"),
        _cell("learning", figures.learning or "-"),
    )
    return table


def _followed_panel(followed: FollowedList) -> Panel:
    body = Text("\n".join(followed.lines))
    title = Text(f"user {followed.user_id}: {followed.cause}")
    return Panel(body, title=title, title_align="left", border_style="cyan")


def _plain(figures: StreamFigures) -> str:
    return (
        f"  {figures.published:,}/{figures.total:,} events, {figures.events_per_s:,.0f}/s, hit rate at 10 "
        f"{_rate(figures.hit_rate)} (popularity {_rate(figures.popularity_hit_rate)}), event to list "
        f"p50 {_ms(figures.p50_ms)} p99 {_ms(figures.p99_ms)}, model {figures.version or '-'}"
        f"{', ' + figures.learning if figures.learning else ''}"
    )


def _cell(name: str, value: str) -> Text:
    return Text.assemble((f"{name}  ", "dim"), (value, "bold"))


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"
