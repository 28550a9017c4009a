"""The folder of a stack: its lock, its configuration for other terminals, and leftovers of earlier runs."""

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from millrace.apps.stacks.child import Child
from millrace.kernel.errors import FatalError
from millrace.kernel.settings import STACK_FILE

if TYPE_CHECKING:
    import psutil

LOCK_FILE = "stack.lock"
EARLIER_DIR = "earlier"
# With less, even a short run would fill the disk.
MIN_FREE_BYTES = 64 * 1024 * 1024
# Children of a killed stack get SIGTERM when it dies, and need as long as in an orderly stop.
ORPHAN_DEADLINE_S = 10.0
POLL_S = 0.05


class StackHome:
    """The folder HOME of a stack.

    Args:
        path: The folder; made by `acquire` if missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.log_dir = self.path / "logs"
        self._lock: IO[str] | None = None

    def acquire(self) -> None:
        """Lock the folder for this process.

        The kernel holds the lock and releases it when this process ends, however it ends.

        Raises:
            FatalError: Another stack runs there, the folder cannot be written or the disk is full.
        """
        try:
            self.log_dir.mkdir(parents=True, exist_ok=True)
            lock = (self.path / LOCK_FILE).open("a+")
        except OSError as error:
            raise FatalError(f"The folder {self.path} cannot be used ({error.strerror}); set MILLRACE_HOME.") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            lock.close()
            raise FatalError(
                f"A stack is already running in {self.path} (process {owner}); stop it or set MILLRACE_HOME to another "
                "folder."
            ) from None
        self._lock = lock
        self._take_over()

    def _take_over(self) -> None:
        assert self._lock is not None  # noqa: S101 - called by acquire alone
        try:
            self._lock.truncate(0)
            self._lock.write(str(os.getpid()))
            self._lock.flush()
            free = shutil.disk_usage(self.path).free
        except OSError as error:
            self.release()
            raise FatalError(f"The folder {self.path} cannot be written: {error.strerror}.") from None
        if free < MIN_FREE_BYTES:
            self.release()
            raise FatalError(
                f"Only {free // 2**20} MB are free in {self.path}, and a stack needs {MIN_FREE_BYTES // 2**20}; make "
                "room or set MILLRACE_HOME to another disk."
            )
        _wait_for_orphans(processes_of(self.path))
        (self.path / STACK_FILE).unlink(missing_ok=True)

    def publish(self, configuration: dict[str, Any], children: Iterable[Child]) -> None:
        """Write the settings where `load_settings` finds them, and the children for whoever takes over after a crash.

        Raises:
            FatalError: The file cannot be written.
        """
        content = {
            **configuration,
            "parent": os.getpid(),
            "processes": {child.name: [child.pid, _start_time(child.pid)] for child in children},
        }
        target = self.path / STACK_FILE
        temporary = target.with_suffix(".new")
        try:
            temporary.write_text(json.dumps(content, indent=1))
            temporary.replace(target)
        except OSError as error:
            raise FatalError(f"{target} cannot be written: {error.strerror}.") from None

    def release(self) -> None:
        """Unlock the folder."""
        if self._lock is None:
            return
        with contextlib.suppress(OSError):
            (self.path / STACK_FILE).unlink(missing_ok=True)
        self._lock.close()
        self._lock = None

    def clear(self, names: Iterable[str], *, delete: bool) -> Path | None:
        """Remove what an earlier run left, or set it aside.

        Args:
            names: Entries of the folder.
            delete: Remove them for good.

        Returns:
            The folder they were moved to, None if there was nothing to move.

        Raises:
            FatalError: They cannot be moved or removed.
        """
        found = [self.path / name for name in names if (self.path / name).exists()]
        if not found:
            return None
        try:
            if delete:
                for path in found:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                return None
            aside = self.path / EARLIER_DIR / f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{os.getpid()}"
            aside.mkdir(parents=True)
            for path in found:
                path.rename(aside / path.name)
        except OSError as error:
            raise FatalError(
                f"What an earlier run left in {self.path} cannot be set aside: {error.strerror}."
            ) from None
        return aside


def _start_time(pid: int) -> float:
    """Return when a process started, 0 if it has ended; tells it from a later process with the same id."""
    import psutil

    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0


def processes_of(home: Path) -> list["psutil.Process"]:
    """Return the processes that a stack in this folder has started and that still exist.

    A later process with the same id is not among them.
    """
    import psutil

    try:
        processes = json.loads((home / STACK_FILE).read_text())["processes"].values()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    found = []
    for pid, started in processes:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(int(pid))
            if process.create_time() == started:
                found.append(process)
    return found


def runs(process: "psutil.Process") -> bool:
    """Return whether a process still runs. A zombie does not: some parents never wait for it."""
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def _wait_for_orphans(processes: Iterable["psutil.Process"]) -> None:
    """Wait until the children of a killed stack have ended; kill them after the deadline."""
    import psutil

    left = list(processes)
    deadline = time.monotonic() + ORPHAN_DEADLINE_S
    while left := [process for process in left if runs(process)]:
        if time.monotonic() > deadline:
            for process in left:
                with contextlib.suppress(psutil.Error):
                    process.kill()
        time.sleep(POLL_S)
