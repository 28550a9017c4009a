"""What a stack finds in its folder when the one before was killed."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from millrace.apps.stacks.home import StackHome, processes_of

DEADLINE_S = 20.0


def write_stack_file(home: Path, *pids: int) -> None:
    processes = {str(pid): [pid, psutil.Process(pid).create_time()] for pid in pids}
    (home / "stack.json").write_text(json.dumps({"processes": processes}))


@pytest.fixture
def zombie() -> Iterator[int]:
    """Yield the number of a process that has ended and whose parent does not ask about it."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        deadline = time.monotonic() + DEADLINE_S
        while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline
        yield process.pid


def test_children_that_nobody_asks_about_are_not_waited_for(tmp_path: Path, zombie: int) -> None:
    write_stack_file(tmp_path, zombie)
    home = StackHome(tmp_path)
    taking = threading.Thread(target=home.acquire, daemon=True)
    taking.start()
    taking.join(DEADLINE_S)
    assert not taking.is_alive()
    assert not (tmp_path / "stack.json").exists()
    home.release()


def test_a_later_process_with_the_same_number_is_no_child(tmp_path: Path) -> None:
    write_stack_file(tmp_path, os.getpid())
    assert [process.pid for process in processes_of(tmp_path)] == [os.getpid()]
    (tmp_path / "stack.json").write_text(json.dumps({"processes": {"worker": [os.getpid(), 1.0]}}))
    assert processes_of(tmp_path) == []


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"processes": []}'])
def test_a_broken_stack_file_names_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / "stack.json").write_text(text)
    assert processes_of(tmp_path) == []
