"""Runs Locust with the users of this package: without a page, with a bar of figures, or with Locust's web page."""

import math
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from millrace.apps.measuring.screen import PLAIN_INTERVAL_S
from millrace.apps.stacks.child import Child, start_child
from millrace.kernel.errors import FatalError
from millrace.kernel.settings import Settings
from millrace.load_tests.users.figures import RECOMMENDATION, LoadReport, Snapshot, read_snapshot, report_of, row_of
from millrace.load_tests.users.options import LoadOptions

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
LOG = "locust.log"
_HOST = "127.0.0.1"
# Beside the run itself: reading the data and connecting; then the last events have their deadline to be answered.
_STARTING_S = 90.0
_ENDING_S = 20.0
# After Ctrl-C a command is gone within 5 s. The figures are those up to then.
_INTERRUPTED_S = 2.0
_POLL_S = 0.5


def run_load(options: LoadOptions, settings: Settings, console: Console) -> LoadReport:
    """Let users load a running system and return the figures.

    Args:
        options: What to do.
        settings: The system.
        console: Where to draw progress and Locust's table.

    Raises:
        FatalError: Locust did not come to its end.
    """
    settings.log_dir.mkdir(parents=True, exist_ok=True)
    figures = settings.log_dir / "load-test.json"
    figures.unlink(missing_ok=True)
    options.page.parent.mkdir(parents=True, exist_ok=True)
    if options.web_port is not None:
        arguments = ["--web-host", _HOST, "--web-port", str(options.web_port)]
    else:
        arguments = [
            "--headless",
            "--only-summary",
            "--run-time",
            str(math.ceil(options.run_time_s)),
            "--loglevel",
            "WARNING",
        ]
    started_s = time.monotonic()
    locust = _start(options, settings, [*arguments, "--figures", str(figures)])
    try:
        if options.web_port is None:
            _follow(locust, figures, options, console)
        else:
            _stay(locust, options.web_port, console)
    except KeyboardInterrupt:
        locust.send_signal(signal.SIGINT)
        locust.wait(_INTERRUPTED_S)
    finally:
        locust.stop()
    return _result(locust, figures, console, time.monotonic() - started_s)


def _start(options: LoadOptions, settings: Settings, arguments: Sequence[str]) -> Child:
    (settings.log_dir / LOG).unlink(missing_ok=True)
    low_s, high_s = options.think_s
    argv = [sys.executable, "-P", "-m", "locust", "--locustfile", str(LOCUSTFILE), *arguments]
    argv += ["--users", str(options.users), "--spawn-rate", f"{options.users_per_s:g}"]
    # A user whose time is up still waits for the list of the event it has published.
    argv += ["--stop-timeout", str(math.ceil(options.deadline_s) + 1), "--html", str(options.page)]
    argv += ["--data", str(options.data), "--start-at", str(options.history), "--seed", str(options.seed)]
    argv += ["--deadline-s", f"{options.deadline_s:g}", "--think-min-s", f"{low_s:g}", "--think-max-s", f"{high_s:g}"]
    return start_child(Path(LOG).stem, argv, settings.log_dir, {**os.environ, **settings.environment()})


def _follow(locust: Child, figures: Path, options: LoadOptions, console: Console) -> None:
    """Draw a bar until Locust has ended.

    Raises:
        FatalError: It does not end.
    """
    deadline_s = time.monotonic() + _STARTING_S + options.run_time_s + options.deadline_s + _ENDING_S
    with _Bar(console, options) as bar:
        while not locust.wait(_POLL_S):
            bar.show(read_snapshot(figures))
            if time.monotonic() > deadline_s:
                raise FatalError(f"Locust did not end in time; its log: {locust.log_path}.")


def _stay(locust: Child, port: int, console: Console) -> None:
    console.print(f"Locust's page: http://{_HOST}:{port}", style="bold", soft_wrap=True)
    console.print("Start the users there; Ctrl-C ends everything.")
    while not locust.wait(_POLL_S):
        pass


def _result(locust: Child, figures: Path, console: Console, seconds: float) -> LoadReport:
    last = read_snapshot(figures)
    if last is None or last.counts is None:
        raise FatalError(
            f"Locust ended with code {locust.exit_code} and no figures: {locust.last_words() or 'it said nothing'} "
            f"(log: {locust.log_path})."
        )
    said = locust.log_path.read_text(errors="replace").strip()
    console.print(said, markup=False, highlight=False, soft_wrap=True)
    return report_of(last, seconds)


class _Bar:
    """How far the run is and what it shows; a line now and then where there is no terminal."""

    def __init__(self, console: Console, options: LoadOptions) -> None:
        self._console = console
        self._run_time_s = options.run_time_s
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=20), TimeElapsedColumn(), console=console,
            disable=not console.is_terminal,
        )  # fmt: skip
        self._task = self._progress.add_task(f"{options.users} users are starting", total=options.run_time_s)
        self._began_s: float | None = None
        self._line_s = 0.0

    def __enter__(self) -> "_Bar":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, snapshot: Snapshot | None) -> None:
        """Draw the newest figures."""
        if snapshot is None:
            return
        now_s = time.monotonic()
        self._began_s = self._began_s or now_s
        text = _line(snapshot)
        self._progress.update(self._task, completed=min(self._run_time_s, now_s - self._began_s), description=text)
        if not self._console.is_terminal and now_s - self._line_s >= PLAIN_INTERVAL_S:
            self._line_s = now_s
            self._console.print(text, highlight=False, soft_wrap=True)


def _line(snapshot: Snapshot) -> str:
    lists = row_of(snapshot.rows, RECOMMENDATION)
    if lists is None:
        return f"{snapshot.users} users, no list yet"
    times = lists.percentiles_ms
    return (
        f"{snapshot.users} users, {lists.requests:,} lists, {lists.per_s:.0f}/s, p50 {times.p50:.0f} ms, "
        f"p99 {times.p99:.0f} ms, {lists.failures:,} unmatched"
    )
