"""`millrace up` as a person uses it."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from millrace.kernel.settings import load_settings

pytestmark = pytest.mark.services


def start(home: Path, *options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "millrace", "up", "--servers-only", *options],
        env={**os.environ, "MILLRACE_HOME": str(home), "COLUMNS": "400", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def failure(home: Path, *options: str) -> str:
    """Return what a run that must fail says."""
    process = start(home, *options)
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, output) == (1, "")
    assert errors.count("\n") == 1
    return errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_everything_is_and_stops(tmp_path: Path, number: signal.Signals) -> None:
    process = start(tmp_path)
    assert process.stdout is not None
    shown = ""
    while "Ctrl-C ends everything." not in shown:
        line = process.stdout.readline()
        assert line, f"it ended after:\n{shown}"
        shown += line
    settings = load_settings(home=tmp_path)
    for address in (settings.kafka_bootstrap, settings.redis_url, settings.triton_url, settings.event_log_url):
        assert address in shown
    assert f"export MILLRACE_HOME={tmp_path}" in shown
    process.send_signal(number)
    output, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")
    # A signal in the middle of a print makes rich repeat that line; only the end is sure.
    assert output.endswith("Stopped; no process is left.\n")
    assert not (tmp_path / "stack.json").exists()


def test_an_unknown_stack_is_one_sentence(tmp_path: Path) -> None:
    assert failure(tmp_path, "--stack", "mainframe").startswith("There is no stack mainframe to start here;")


def test_a_busy_port_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert failure(tmp_path, "--redis-port", str(port)).startswith(f"Port {port}, asked for Redis, cannot be used")


def test_an_unusable_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert failure(tmp_path / "file").startswith(f"The folder {tmp_path / 'file'} cannot be used")
