"""A stack in the background, and how another terminal stops it."""

import contextlib
import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from millrace.apps.stacks.home import LOCK_FILE, processes_of, runs
from millrace.kernel.errors import FatalError

if TYPE_CHECKING:
    import psutil

OUTPUT = "up.log"
# Longer than the servers' own deadline: roles start after them.
_START_DEADLINE_S = 180.0
# Roles and servers have 10 s each to end.
_STOP_DEADLINE_S = 45.0
_POLL_S = 0.1
# The last line of `millrace up` once everything runs.
RUNNING = "Ctrl-C ends everything."
_ALONE = "--detach"


def start_detached(home: Path) -> str:
    """Run this command line without `--detach` in the background; return its output once everything runs.

    Args:
        home: Folder of the stack; its output goes to HOME/logs/up.log.

    Raises:
        FatalError: It ended, or did not start in time.
        BaseException: Whatever interrupted the wait; the stack has been stopped.
    """
    output = home.absolute() / "logs" / OUTPUT
    output.parent.mkdir(parents=True, exist_ok=True)
    arguments = [argument for argument in sys.argv[1:] if argument != _ALONE]
    with output.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603 - this command itself
            [sys.executable, "-P", "-m", "millrace", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "MILLRACE_HOME": str(home.absolute())},
        )
    try:
        said = _await_running(process, output)
    except BaseException:
        # It has a session of its own: Ctrl-C here does not reach it.
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_DEADLINE_S)
        raise
    return said.replace(RUNNING, "It runs in the background; `millrace down` ends it.")


def _await_running(process: "subprocess.Popen[bytes]", output: Path) -> str:
    """Return its output once everything runs.

    Raises:
        FatalError: It ended, or did not start in time.
    """
    deadline_s = time.monotonic() + _START_DEADLINE_S
    while RUNNING not in (said := output.read_text(errors="replace")):
        if process.poll() is not None:
            raise FatalError(said.strip() or f"It ended with code {process.returncode}; see {output}.")
        if time.monotonic() > deadline_s:
            raise FatalError(f"It did not start within {_START_DEADLINE_S:.0f} s; see {output}.")
        time.sleep(_POLL_S)
    return said


def stop_running(home: Path) -> bool:
    """Stop the stack that runs in a folder, and wait until its last process has ended.

    Returns:
        Whether there was one.

    Raises:
        FatalError: A process does not end.
    """
    owner = _owner(home)
    if owner is None:
        return False
    processes = [owner, *processes_of(home)]
    owner.terminate()
    deadline_s = time.monotonic() + _STOP_DEADLINE_S
    while any(runs(process) for process in processes):
        if time.monotonic() > deadline_s:
            raise FatalError(f"Process {owner.pid} did not end within {_STOP_DEADLINE_S:.0f} s; see {home / 'logs'}.")
        time.sleep(_POLL_S)
    return True


def _owner(home: Path) -> "psutil.Process | None":
    """Return the process that holds the folder's lock, None if nobody does."""
    import psutil

    try:
        with (home / LOCK_FILE).open("r+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return psutil.Process(int(lock.read()))
    except (OSError, ValueError, psutil.NoSuchProcess):
        return None
    return None
