"""A stack that runs on without a terminal, and how it is ended from another one."""

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
# The servers have their own deadline; roles start after that.
_START_DEADLINE_S = 180.0
# Roles and servers get ten seconds each to end.
_STOP_DEADLINE_S = 45.0
_POLL_S = 0.1
# What `millrace up` prints last, when everything runs.
RUNNING = "Ctrl-C ends everything."
_ALONE = "--detach"


def start_detached(home: Path) -> str:
    """Run this very command line without `--detach` in the background; return what it said once everything runs.

    Args:
        home: Folder of the stack; what it says later goes to HOME/logs/up.log.

    Raises:
        FatalError: It ended, or did not come up in time.
        BaseException: Whatever interrupts the wait; the stack has been told to end, and has.
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
    """Return what it has said once everything runs.

    Raises:
        FatalError: It ended, or did not come up in time.
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
    """End the stack that runs in a folder, and wait until its last process is gone.

    Returns:
        Whether there was one.

    Raises:
        FatalError: It does not end.
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
