"""`millrace up` as a person runs it in a first terminal."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from millrace.runtime import launcher

_READY = "Ctrl-C ends everything."
_STOP_S = 30.0


@contextmanager
def running_up(folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Run an installation until the block ends; it ends with this process, too, however that ends.

    Args:
        folder: Working directory.
        environment: The whole environment of the command.
    """
    tied = [sys.executable, "-I", "-S", launcher.__file__, str(os.getpid())]
    up = subprocess.Popen(
        [*tied, sys.executable, "-P", "-m", "millrace", "up"],
        cwd=folder,
        env={**environment, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert up.stdout is not None
        shown = ""
        while _READY not in shown:
            line = up.stdout.readline()
            assert line, f"it ended after:\n{shown}"
            shown += line
        yield
    finally:
        up.send_signal(signal.SIGINT)
        try:
            up.communicate(timeout=_STOP_S)
        finally:
            up.kill()
