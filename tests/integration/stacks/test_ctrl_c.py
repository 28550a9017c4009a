"""One Ctrl-C ends a command within seconds, wherever it is, and leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from processes import running
from waiting import until

ROOT = Path(__file__).parents[3]
# What a person is promised.
ENDS_WITHIN_S = 5.0
PHASE_DEADLINE_S = 400.0

pytestmark = [pytest.mark.services, pytest.mark.timeout(PHASE_DEADLINE_S + 60)]


class Command:
    """A command in a process of its own, with everything it has written so far."""

    def __init__(self, arguments: list[str], home: Path, *interpreter: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", *interpreter, "-m", "millrace", *arguments],
            cwd=ROOT,
            env={**os.environ, "MILLRACE_HOME": str(home), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.output = ""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self.output += line

    def family(self) -> list[psutil.Process]:
        """Return the process and everything it has started."""
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]

    def interrupt_when(self, condition: Callable[[], object], what: str) -> None:
        """Send SIGINT once the condition holds, and check that everything ends in time."""
        until(lambda: self.process.poll() is not None or condition(), what, PHASE_DEADLINE_S)
        assert self.process.poll() is None, self.output
        family = self.family()
        self.process.send_signal(signal.SIGINT)
        began_s = time.monotonic()
        self.process.wait(ENDS_WITHIN_S)
        until(lambda: not running(family), "everything it has started ends", began_s + ENDS_WITHIN_S - time.monotonic())
        self._reader.join()
        assert "Traceback" not in self.output
        # By the signal itself while there is nothing to tidy up.
        assert self.process.returncode in (-signal.SIGINT, 130), self.output

    def close(self) -> None:
        for each in [] if self.process.poll() is not None else self.family():
            each.kill()
        self._reader.join()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Command]]:
    """Yield what starts a command whose home is the test's folder."""
    started: list[Command] = []

    def make(*arguments: str, interpreter: tuple[str, ...] = ()) -> Command:
        started.append(Command(list(arguments), tmp_path / "home", *interpreter))
        return started[-1]

    yield make
    for each in started:
        each.close()


@pytest.mark.parametrize("module", ["millrace.runtime.interrupts", "rich.console", "millrace.apps.stacks.roles"])
def test_while_modules_load(start: Callable[..., Command], module: str) -> None:
    command = start("demo", interpreter=("-X", "importtime"))
    command.interrupt_when(lambda: re.search(rf"\| +{module}$", command.output, re.MULTILINE), f"{module} is loaded")


def test_while_a_command_loads_its_own_modules(start: Callable[..., Command]) -> None:
    command = start("train", "log", interpreter=("-X", "importtime"))
    command.interrupt_when(lambda: re.search(r"\| +numpy$", command.output, re.MULTILINE), "NumPy is loaded")


def demo(start: Callable[..., Command], tmp_path: Path) -> Command:
    home = str(tmp_path / "home")
    return start("demo", "--home", home, "--bootstrap", "0.03", "--events", "20000", "--rate", "100")


def test_while_the_demo_learns_the_past(start: Callable[..., Command], tmp_path: Path) -> None:
    command = demo(start, tmp_path)
    # The servers start in the first phase; the second one is the import and the rebuild.
    command.interrupt_when(lambda: command.output.count(" ...\n") >= 2, "the second phase has begun")
    assert not (tmp_path / "home" / "stack.json").exists()


def test_while_the_first_version_is_trained(start: Callable[..., Command], tmp_path: Path) -> None:
    command = demo(start, tmp_path)
    command.interrupt_when(lambda: any(map(trains, command.family())), "a training has begun")
    assert not (tmp_path / "home" / "stack.json").exists()


def trains(process: psutil.Process) -> bool:
    try:
        return "millrace.consumers.retrainer.job" in process.cmdline()
    except psutil.Error:  # it has just ended
        return False


@pytest.mark.slow
def test_while_the_demo_streams(start: Callable[..., Command], tmp_path: Path) -> None:
    command = demo(start, tmp_path)
    command.interrupt_when(lambda: "events, " in command.output, "figures of the stream are shown")
    assert not (tmp_path / "home" / "stack.json").exists()
