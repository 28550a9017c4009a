"""Child processes: start, observe, stop."""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

from millrace.kernel.errors import FatalError
from millrace.runtime import launcher

LAUNCHER = Path(launcher.__file__)
# A role finishes its batch, a server its requests: less than a second when healthy.
STOP_DEADLINE_S = 10.0
# After SIGKILL the kernel needs a moment to free a large process.
KILL_DEADLINE_S = 5.0


class Child:
    """One running program with its log file.

    Args:
        name: Its name, and the stem of its log file.
        process: The started program, leader of its own session.
        log_path: Where its standard output and error go.
    """

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", log_path: Path) -> None:
        self.name = name
        self.log_path = log_path
        self._process = process
        self._cpu_s = 0.0

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Its exit code, negative for a signal, None while it runs."""
        return self._process.poll()

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        self._process.send_signal(number)

    def request_stop(self) -> None:
        """Send SIGTERM, without waiting."""
        self._process.terminate()

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end; return whether it ended in time."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self, deadline_s: float = STOP_DEADLINE_S) -> None:
        """Stop it and everything it started: SIGTERM, then SIGKILL after the deadline."""
        self.request_stop()
        if not self.wait(deadline_s):
            self.kill()
        self._kill_group()

    def kill(self) -> None:
        """Kill it and everything it started, as a crash would."""
        self._process.kill()
        self.wait(KILL_DEADLINE_S)
        self._kill_group()

    def _kill_group(self) -> None:
        """Kill the processes that it left behind."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def cpu_seconds(self) -> float:
        """Return the CPU seconds that it and everything it started have used; after its end the last known value."""
        import psutil

        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self.pid)
            self._cpu_s = max(self._cpu_s, _cpu_seconds([process, *process.children(recursive=True)]))
        return self._cpu_s

    def rss_bytes(self) -> int:
        """Return the resident memory of it and everything it started, 0 after its end."""
        import psutil

        total = 0
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self.pid)
            for one in (process, *process.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    total += int(one.memory_info().rss)
        return total

    def last_words(self) -> str:
        """Return the last line of its log, for an error message."""
        try:
            lines = self.log_path.read_text(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1] if lines else ""


def _cpu_seconds(processes: Sequence[object]) -> float:
    """Sum user and system seconds, children that have ended included."""
    import psutil

    total = 0.0
    for process in processes:
        assert isinstance(process, psutil.Process)  # noqa: S101 - psutil has no types
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


class _Spawner:
    """Starts processes from one thread that lives as long as this process.

    The kernel sends the parent-death signal when the *thread* that started a child ends, so a child started by a
    short-lived thread of an app would be ended with it.
    """

    def __init__(self) -> None:
        self._requests: queue.SimpleQueue[tuple[list[str], dict[str, str], Path, Future[subprocess.Popen[bytes]]]] = (
            queue.SimpleQueue()
        )
        threading.Thread(target=self._run, name="millrace-spawner", daemon=True).start()

    def _run(self) -> None:
        while True:
            command, environment, log_path, future = self._requests.get()
            try:
                future.set_result(_popen(command, environment, log_path))
            except BaseException as error:
                future.set_exception(error)

    def start(self, command: list[str], environment: dict[str, str], log_path: Path) -> "subprocess.Popen[bytes]":
        future: Future[subprocess.Popen[bytes]] = Future()
        self._requests.put((command, environment, log_path, future))
        return future.result()


def _popen(command: list[str], environment: dict[str, str], log_path: Path) -> "subprocess.Popen[bytes]":
    with log_path.open("ab") as log:
        # An own session: Ctrl-C in the terminal reaches the parent alone, which then ends its children in order.
        return subprocess.Popen(  # noqa: S603 - the command comes from Millrace itself
            [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


_spawner: tuple[int, _Spawner] | None = None
_spawner_lock = threading.Lock()


def _spawner_of_this_process() -> _Spawner:
    """Return the spawner; a forked process makes its own, since threads do not survive a fork."""
    global _spawner
    with _spawner_lock:
        if _spawner is None or _spawner[0] != os.getpid():
            _spawner = (os.getpid(), _Spawner())
        return _spawner[1]


def start_child(
    name: str, command: Sequence[str], log_dir: Path, environment: Mapping[str, str] | None = None
) -> Child:
    """Start a program that ends with this process.

    Args:
        name: What people call it; its output goes to LOG_DIR/NAME.log.
        command: Program and arguments.
        log_dir: An existing folder.
        environment: All its variables; default: those of this process.

    Raises:
        FatalError: The log cannot be written or no process can be made.
    """
    log_path = log_dir / f"{name}.log"
    try:
        process = _spawner_of_this_process().start(
            list(command), dict(os.environ if environment is None else environment), log_path
        )
    except OSError as error:
        raise FatalError(f"{name} could not be started with its log in {log_path}: {error.strerror}.") from None
    return Child(name, process, log_path)
