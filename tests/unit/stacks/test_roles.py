"""Roles that end on their own are started again, within reason."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from millrace.errors import FatalError
from millrace.stacks.roles import MAX_RESTARTS, Roles, default_roles


class EndingChild:
    """Stands for a process whose end the test decides."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.exit_code = 3
        self.log_path = Path(f"{name}.log")

    def last_words(self) -> str:
        return "Redis is away"


class RecordingStack:
    """Keeps what was started."""

    def __init__(self) -> None:
        self.started: list[tuple[str, list[str]]] = []

    def spawn(self, role: str, argv: Sequence[str], env: Mapping[str, str] | None = None) -> EndingChild:
        self.started.append((role, list(argv)))
        return EndingChild(role)


def test_a_complete_system_has_four_roles() -> None:
    roles = default_roles(retrain_every_events=70)
    assert [argv[3:] for argv in roles.values()] == [
        ["worker"],
        ["statistics"],
        ["log-writer"],
        ["retrainer", "--every-events", "70"],
    ]


def test_only_what_has_ended_is_started_again() -> None:
    stack = RecordingStack()
    roles = Roles(stack, {"a": ["run", "a"], "b": ["run", "b"]})
    roles.start()
    assert roles.supervise() == []
    roles.children["b"].alive = False
    assert roles.supervise() == ["b ended with code 3 and was started again; see b.log."]
    assert stack.started == [("a", ["run", "a"]), ("b", ["run", "b"]), ("b", ["run", "b"])]
    assert roles.supervise() == []


def test_a_role_that_keeps_ending_is_fatal() -> None:
    roles = Roles(RecordingStack(), {"a": ["run"]})
    roles.start()
    for _ in range(MAX_RESTARTS):
        roles.children["a"].alive = False
        roles.supervise()
    roles.children["a"].alive = False
    with pytest.raises(FatalError, match=r"^a ended with code 3 and keeps doing so: Redis is away \(log: a\.log\)\.$"):
        roles.supervise()


def test_a_role_that_is_killed_is_started_again_as_often_as_that_happens() -> None:
    now_s = 0.0
    roles = Roles(RecordingStack(), {"a": ["run"]}, lambda: now_s)
    roles.start()
    for number in range(3 * MAX_RESTARTS):
        roles.children["a"].alive, roles.children["a"].exit_code = False, -9
        now_s += 100.0
        assert len(roles.supervise()) == 1, number
    # Killed again at once, it has to wait.
    roles.children["a"].alive, roles.children["a"].exit_code = False, -9
    assert roles.supervise() == []
    now_s += 100.0
    assert len(roles.supervise()) == 1
