"""Progress of long work: bars on a terminal, a line now and then anywhere else."""

import time
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

# A log of an hour then has 120 lines of progress, and nobody waits longer than that to see that work goes on.
LINE_INTERVAL_S = 30.0


class LineProgress(Progress):
    """Rich's bars; where the console is no terminal, prints lines: each task at its end, and one now and then.

    Args:
        columns: As Rich's.
        console: Where to.
        transient: Whether the bars vanish at the end.
        interval_s: Least seconds between two lines.
    """

    def __init__(
        self,
        *columns: str | ProgressColumn,
        console: Console,
        transient: bool = False,
        interval_s: float = LINE_INTERVAL_S,
    ) -> None:
        super().__init__(*columns, console=console, transient=transient, disable=not console.is_terminal)
        self._interval_s = interval_s
        self._printed_s = time.monotonic()
        self._finished: set[TaskID] = set()

    def update(self, task_id: TaskID, **changes: Any) -> None:
        """Do as Rich's."""
        super().update(task_id, **changes)
        self._print_if_due(task_id)

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        """Do as Rich's."""
        super().advance(task_id, advance)
        self._print_if_due(task_id)

    def _print_if_due(self, task_id: TaskID) -> None:
        if self.console.is_terminal:
            return
        with self._lock:
            task = self._tasks[task_id]
            now_s, ended = time.monotonic(), task.finished and task_id not in self._finished
            if not ended and now_s - self._printed_s < self._interval_s:
                return
            self._printed_s = now_s
            if task.finished:
                self._finished.add(task_id)
            line = _line(task)
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


def counting_bar(console: Console) -> LineProgress:
    """Return a bar with a description, counts and the time so far."""
    return LineProgress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    )


def share_bars(console: Console, *, transient: bool = False) -> LineProgress:
    """Return bars with a description, the share done, the time so far and the time left."""
    return LineProgress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=transient,
    )


def _line(task: Task) -> str:
    done = f"{task.percentage:.0f} %" if task.total else f"{task.completed:,.0f}"
    if task.total is not None and task.total > 1:
        done += f" ({task.completed:,.0f} of {task.total:,.0f})"
    parts = [f"{task.description}: {done}"]
    if task.elapsed is not None:
        parts.append(f"{_duration(task.elapsed)} so far")
    if task.time_remaining is not None and not task.finished:
        parts.append(f"about {_duration(task.time_remaining)} left")
    return ", ".join(parts)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
