"""Waiting for servers: all together, within a deadline, and no longer than they live."""

import socket
from pathlib import Path
from typing import Any

import pytest

from millrace.apps.stacks.ports import choose_port
from millrace.apps.stacks.service import wait_ready
from millrace.kernel.errors import FatalError


class DeadChild:
    """Stands for a process that has ended."""

    alive = False
    exit_code = 1
    log_path = Path("logs/one.log")

    def last_words(self) -> str:
        return "Address already in use"


class ScriptedService:
    """Answers from the n-th look on."""

    child: Any = None

    def __init__(self, name: str, ready_at: int) -> None:
        self.name = name
        self.looks = 0
        self._ready_at = ready_at

    def start(self) -> None:
        """Do nothing."""

    def ready(self) -> bool:
        self.looks += 1
        return self.looks >= self._ready_at

    def stop(self) -> None:
        """Do nothing."""

    def settings(self) -> dict[str, Any]:
        return {}


def test_each_is_asked_until_it_answers_and_not_again() -> None:
    quick, slow = ScriptedService("quick", 1), ScriptedService("slow", 3)
    wait_ready([quick, slow], timeout_s=5)
    assert (quick.looks, slow.looks) == (1, 3)


def test_the_deadline_names_all_that_are_missing() -> None:
    services = [ScriptedService(name, ready_at) for name, ready_at in [("a", 1), ("b", 10**9), ("c", 10**9)]]
    with pytest.raises(FatalError, match=r"^b and c did not answer within 0 s"):
        wait_ready(services, timeout_s=0)


def test_a_dead_one_is_not_waited_for() -> None:
    service = ScriptedService("one", 10**9)
    service.child = DeadChild()
    with pytest.raises(FatalError, match=r"^one ended with code 1 while starting: Address already in use \(log: "):
        wait_ready([service], timeout_s=60)


def test_a_free_port_is_found_and_a_taken_one_refused() -> None:
    chosen = [choose_port(0, "Redis") for _ in range(50)]
    assert len(set(chosen)) == len(chosen)
    # Outgoing connections, which Linux gives higher ports, cannot take one before its server has started.
    assert all(1024 <= port < 32_768 for port in chosen)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(FatalError, match=rf"^Port {port}, asked for Redis, cannot be used"):
            choose_port(port, "Redis")
    assert choose_port(port, "Redis") == port
