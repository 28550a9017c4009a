"""A stack that starts in the background ends with whoever waits for it."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from millrace.apps.stacks import detached
from millrace.kernel.errors import FatalError

DEADLINE_S = 20.0
# Ends in order, as a stack does, and says so.
STARTING = """#!/bin/sh
trap 'echo ended; exit 0' TERM
echo starting
while true; do sleep 0.05; done
"""
FAILING = "#!/bin/sh\necho 'There is no room.'\nexit 1\n"

Install = Callable[[str], Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return what makes a script run in place of the command; it returns the file with what the script says."""

    def do(script: str) -> Path:
        program = tmp_path / "program"
        program.write_text(script)
        program.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(program))
        return tmp_path / "logs" / detached.OUTPUT

    return do


@pytest.mark.parametrize("error", [KeyboardInterrupt, FatalError])
def test_an_interrupted_wait_ends_what_was_starting(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    output = install(STARTING)

    def interrupted(process: "subprocess.Popen[bytes]", file: Path) -> str:
        deadline = time.monotonic() + DEADLINE_S
        while "starting" not in file.read_text():
            assert time.monotonic() < deadline
        raise error

    monkeypatch.setattr(detached, "_await_running", interrupted)
    with pytest.raises(error):
        detached.start_detached(tmp_path)
    assert output.read_text() == "starting\nended\n"


def test_what_ends_by_itself_is_quoted(install: Install, tmp_path: Path) -> None:
    install(FAILING)
    with pytest.raises(FatalError, match=r"^There is no room\.$"):
        detached.start_detached(tmp_path)
