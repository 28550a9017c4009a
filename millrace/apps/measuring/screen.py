"""What a person sees while a command works: progress bars and a drawing on a terminal, lines elsewhere."""

import time
from dataclasses import dataclass, field
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

# Without a terminal, a line every few seconds shows progress and keeps a log readable.
PLAIN_INTERVAL_S = 5.0
# Leaves room for the longest description on a terminal of 80 columns.
_BAR_WIDTH = 24


@dataclass(slots=True)
class Screen:
    """Draws phases and one drawing below them; a context manager.

    Args:
        console: Where to draw.
    """

    console: Console
    _drawing: RenderableType | None = None
    _last_plain_s: float = 0.0
    _progress: Progress = field(init=False)
    _live: Live | None = None

    def __post_init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=_BAR_WIDTH),
            TextColumn("{task.percentage:>3.0f} %"), TimeElapsedColumn(), console=self.console,
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
        """Begin a phase. Its bar stays at 0 until `advance` is called."""
        if self._live is None:
            self.console.print(f"{description} ...")
        return PhaseBar(self, self._progress, description)

    def say(self, message: str) -> None:
        """Print one line that stays; may contain markup."""
        self.console.print(message, soft_wrap=True)

    def show(self, drawing: RenderableType, line: str) -> None:
        """Replace the drawing below the bars; without a terminal, print `line` every few seconds instead."""
        self._drawing = drawing
        self.refresh()
        now_s = time.monotonic()
        if self._live is None and now_s - self._last_plain_s >= PLAIN_INTERVAL_S:
            self._last_plain_s = now_s
            self.console.print(line, soft_wrap=True, highlight=False, markup=False)

    def refresh(self) -> None:
        """Redraw."""
        if self._live is not None:
            self._live.update(self._render())

    def _render(self) -> RenderableType:
        return self._progress if self._drawing is None else Group(self._progress, self._drawing)


class PhaseBar:
    """The progress bar of one phase; a context manager that fills the bar on success."""

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
