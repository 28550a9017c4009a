"""The processes themselves: what they say and do when the log or Redis is away."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from millrace.consumers.retrainer.run import run_retrainer
from millrace.consumers.retrainer.schedule import Schedule
from millrace.kernel.errors import TransientError
from millrace.kernel.settings import Settings

pytestmark = pytest.mark.services

DEADLINE_S = 60.0
# Nothing listens on port 1.
NO_CASSANDRA = "cassandra://127.0.0.1:1/millrace"
NO_REDIS = "redis://127.0.0.1:1/0"


def ready(port: int) -> tuple[int, dict[str, object]] | None:
    """Return status and content of GET /ready; None while nobody listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/ready")
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    except OSError:
        return None
    finally:
        connection.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_retrainer_waits_for_its_log_says_so_and_ends_when_told(redis_server: str, tmp_path: Path) -> None:
    port = free_port()
    settings = Settings(redis_url=redis_server, home=tmp_path, event_log=NO_CASSANDRA, health_port=port)
    said = tmp_path / "said"
    with said.open("w") as output:
        command = [sys.executable, "-P", "-m", "millrace", "retrainer"]
        process = subprocess.Popen(command, env={**os.environ, **settings.environment()}, stderr=output)
        try:
            deadline_s = time.monotonic() + DEADLINE_S
            while "Trying again" not in said.read_text():
                assert process.poll() is None, said.read_text()
                assert time.monotonic() < deadline_s, "it does not say that it waits"
                time.sleep(0.05)
            status, content = ready(port) or (0, {})
            assert (status, content["waiting_for"]) == (503, "the event log")
            process.send_signal(signal.SIGTERM)
            assert process.wait(DEADLINE_S) == 0
        finally:
            process.kill()
            process.wait()


def test_one_training_without_a_log_fails_at_once(redis_server: str, tmp_path: Path) -> None:
    settings = Settings(redis_url=redis_server, home=tmp_path, event_log=NO_CASSANDRA)
    with pytest.raises(TransientError, match="Cassandra did not answer while connecting"):
        run_retrainer(settings, Schedule(), once=True)


def test_the_training_process_says_that_a_server_is_away(tmp_path: Path) -> None:
    settings = Settings(redis_url=NO_REDIS, home=tmp_path)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "millrace.consumers.retrainer.job"],
        env={**os.environ, **settings.environment()},
        input='{"refresh": "due"}\n',
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["transient"] is True
    assert "Redis" in last["error"]
