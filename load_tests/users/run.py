"""Runs Locust with the users of this package: without a page, with a bar of figures, or with Locust's web page."""

import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

import load_tests.users
from load_tests.users.figures import LoadReport, Snapshot, read_snapshot, report_of
from load_tests.users.options import LoadOptions
from millrace.config import Settings
from millrace.demo.screen import PLAIN_INTERVAL_S
from millrace.errors import FatalError
from millrace.stacks.child import Child, start_child

LOCUSTFILE = Path(load_tests.users.__file__).with_name("locustfile.py")
_HOST = "127.0.0.1"
# Beside the run itself: reading the data and connecting; then the last events have their deadline to be answered.
_STARTING_S = 90.0
_ENDING_S = 20.0
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
        arguments = ["--headless", "--only-summary", "--run-time", f"{options.run_time_s:g}", "--loglevel", "WARNING"]
    started_s = time.monotonic()
    locust = _start(options, settings, [*arguments, "--figures", str(figures)])
    try:
        if options.web_port is None:
            _follow(locust, figures, options, console)
        else:
            _stay(locust, options.web_port, console)
    except KeyboardInterrupt:
        locust.send_signal(signal.SIGINT)
        locust.wait(options.deadline_s + _ENDING_S)
    finally:
        locust.stop()
    return _result(locust, figures, console, time.monotonic() - started_s)


def _start(options: LoadOptions, settings: Settings, arguments: Sequence[str]) -> Child:
    (settings.log_dir / "locust.log").unlink(missing_ok=True)
    argv = [sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE), "--skip-log-setup"]
    return start_child("locust", argv, settings.log_dir)
