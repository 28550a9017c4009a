"""The commands and health checks of the images, run outside containers: with the libraries of each image alone."""

import json
import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from local_servers import JVM_OPTIONS, READY_DEADLINE_S, started

from millrace.apps.stacks.cassandra_server import CassandraServer
from millrace.apps.stacks.service import wait_ready
from millrace.apps.stacks.triton_server import TritonServer
from millrace.kernel.settings import Settings
from millrace.stores.event_log.cassandra_address import parse_address
from millrace.stores.event_log.cassandra_session import connect
from tests.unit.docker.container_files import COMPOSE, DOCKER, last

pytestmark = [pytest.mark.services, pytest.mark.slow]
ONLY_EXTRAS = Path(__file__).with_name("only_extras.py")
DEADLINE_S = 240.0
ROLES = {"worker": "worker", "statistics": "worker", "log-writer": "log-writer", "retrainer": "retrainer"}


def extras(image: str) -> str:
    """Return what the image is built with."""
    return last(f"build-{image}", "RUN").partition("millrace-recommender[")[2].partition("]")[0]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def check(image: str, port: int) -> int:
    """Run the health check of an image as Docker would; return its exit code."""
    command = json.loads(last(image, "HEALTHCHECK").partition(" CMD ")[2])
    command = [part.replace("/opt/healthcheck.py", str(DOCKER / "healthcheck.py")) for part in command]
    if command[0] == "python3":
        command[0] = sys.executable
    environment = {"PATH": os.environ["PATH"], "MILLRACE_HEALTH_PORT": str(port)}
    return subprocess.run(command, env=environment, capture_output=True).returncode


def await_true(condition: Callable[[], bool], what: Callable[[], str]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s, what()
        time.sleep(1.0)


@contextmanager
def role(name: str, settings: Settings, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a service's command with the libraries of its image."""
    service = COMPOSE["services"][name]
    log = settings.home / f"{name}.log"
    environment = settings.model_copy(update={"health_port": port}).environment()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(ONLY_EXTRAS), extras(service["build"]["target"]), *service["command"]],
            env={**os.environ, **environment},
            stdout=output,
            stderr=output,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def test_every_role_runs_with_the_libraries_of_its_image_and_passes_its_health_check(settings: Settings) -> None:
    ports = {name: free_port() for name in ROLES}
    assert [check(image, ports[name]) for name, image in ROLES.items()] == [1, 1, 1, 1]
    with ExitStack() as running:
        processes = {name: running.enter_context(role(name, settings, port)) for name, port in ports.items()}

        def words(name: str) -> str:
            return f"{name} ended or is not healthy:\n{(settings.home / f'{name}.log').read_text()[-3000:]}"

        for name, image in ROLES.items():
            await_true(lambda name=name, image=image: check(image, ports[name]) == 0, lambda name=name: words(name))
            assert processes[name].poll() is None, words(name)
    # A stop by SIGTERM, as `docker stop` does it, is an orderly end.
    assert {name: process.returncode for name, process in processes.items()} == dict.fromkeys(ROLES, 0)


def test_the_model_servers_health_check_asks_what_triton_answers(tmp_path: Path) -> None:
    port = free_port()
    server = TritonServer(tmp_path, tmp_path, tmp_path / "repository", http_port=port)
    command = json.loads(last("model-server", "HEALTHCHECK").partition(" CMD ")[2])
    command = [part.replace(":8000/", f":{port}/") for part in command]
    assert subprocess.run(command, capture_output=True).returncode != 0
    try:
        server.start()
        wait_ready([server], timeout_s=60)
        assert subprocess.run(command, capture_output=True).returncode == 0, shlex.join(command)
    finally:
        server.stop()


class ImagesCassandra(CassandraServer):
    """Cassandra with what its image's file says about the commit log."""

    def _configuration(self) -> dict[str, Any]:
        return {**super()._configuration(), "commitlog_sync": "periodic", "commitlog_sync_period": "10000ms"}


def test_the_options_for_cassandras_jvm_win_over_its_file(tmp_path: Path) -> None:
    options = COMPOSE["services"]["cassandra"]["environment"]["JVM_EXTRA_OPTS"].split()
    server = ImagesCassandra(tmp_path, tmp_path / "data", jvm_options=(*JVM_OPTIONS, *options))
    try:
        started(server.start, "Cassandra")
        wait_ready([server], READY_DEADLINE_S)
        settings = Settings(event_log=server.settings()["event_log"])
        with connect(settings, parse_address(settings.event_log_url)) as cluster:
            query = "SELECT value FROM system_views.settings WHERE name = 'commitlog_sync'"
            assert list(cluster.connect().execute(query)) == [("batch",)]
    finally:
        server.stop()


@pytest.mark.parametrize("name", ["topics", "log-schema"])
def test_what_runs_once_does_with_the_libraries_of_its_image(
    name: str, local_kafka: str, cassandra: str, tmp_path: Path
) -> None:
    service = COMPOSE["services"][name]
    settings = Settings(home=tmp_path, kafka_bootstrap=local_kafka, event_log=cassandra, topic_prefix="images.")
    run = subprocess.run(
        [sys.executable, str(ONLY_EXTRAS), extras(service["build"]["target"]), *service["command"]],
        env={**os.environ, **settings.environment()},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
