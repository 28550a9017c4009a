import http.client
import json
import socket

import pytest

from millrace.consumers.log_writer.health import LogWriterHealth
from millrace.consumers.log_writer.writer import LogWriterStatus
from millrace.kernel.errors import ConfigurationError
from millrace.kernel.settings import Settings
from millrace.runtime import health as health_module
from millrace.runtime.health import BackgroundHealth


def ask(port: int) -> tuple[int, object]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/health")
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def test_it_answers_while_the_block_lasts() -> None:
    with BackgroundHealth(Settings(), lambda: (True, {"lag": 3})) as health:
        assert ask(health.port) == (200, {"healthy": True, "lag": 3})
    with pytest.raises(ConnectionRefusedError):
        ask(health.port)


def test_a_taken_port_is_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = Settings(health_port=taken.getsockname()[1])
        with (
            pytest.raises(ConfigurationError, match="MILLRACE_HEALTH_PORT"),
            BackgroundHealth(settings, lambda: (True, {})),
        ):
            pass


def test_a_writer_that_gets_nowhere_is_unhealthy(monkeypatch: pytest.MonkeyPatch) -> None:
    health, status = LogWriterHealth(), LogWriterStatus(logged=5)
    health.follow(status)
    assert health.look() == (True, {"lag": 0, "events_logged": 5, "waiting_for": None})
    status.lag, status.waiting = 10, "Cassandra is away."
    monkeypatch.setattr(health_module, "STALLED_S", 0.0)
    assert health.look()[0] is False
    monkeypatch.setattr(health_module, "STALLED_S", 1000.0)
    status.logged = 6
    assert health.look()[0] is True
