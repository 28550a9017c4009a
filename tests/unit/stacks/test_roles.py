"""Roles that end on their own are started again, within reason."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from millrace.apps.stacks.roles import HEALTHY_AFTER_S, MAX_RESTARTS, Roles, default_roles
from millrace.kernel.errors import ConfigurationError, FatalError


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
        self.health_ports: list[str] = []

    def spawn(self, role: str, argv: Sequence[str], env: Mapping[str, str] | None = None) -> EndingChild:
        self.started.append((role, list(argv)))
        self.health_ports.append((env or {})["MILLRACE_HEALTH_PORT"])
        return EndingChild(role)


def test_a_complete_system_has_four_roles() -> None:
    roles = default_roles(retrain_every_events=70)
    assert [argv[4:] for argv in roles.values()] == [
        ["worker"],
        ["statistics"],
        ["log-writer"],
        ["retrainer", "--every-events", "70"],
    ]


def test_a_quick_first_version_is_an_option_of_the_retrainer() -> None:
    assert default_roles(None, quick_first=True)["retrainer"][4:] == ["retrainer", "--quick-first"]


def test_some_roles_can_start_before_the_others() -> None:
    stack = RecordingStack()
    roles = Roles(stack, {"a": ["run", "a"], "b": ["run", "b"]})
    roles.start("b")
    roles.start()
    assert [name for name, _ in stack.started] == ["b", "a"]


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def end(roles: Roles, name: str, exit_code: int = 3) -> None:
    roles.children[name].alive, roles.children[name].exit_code = False, exit_code  # type: ignore[misc]


def seconds_to_restart(roles: Roles, clock: Clock, name: str = "a") -> int:
    """Let a role end, and return how long nobody started it again."""
    end(roles, name)
    for second in range(100):
        if roles.supervise():
            return second
        clock.now_s += 1
    raise AssertionError("it was never started again")


def test_only_what_has_ended_is_started_again() -> None:
    stack = RecordingStack()
    roles = Roles(stack, {"a": ["run", "a"], "b": ["run", "b"]})
    roles.start()
    assert roles.supervise() == []
    end(roles, "b")
    assert roles.supervise() == ["b ended with code 3: Redis is away (log: b.log); it was started again."]
    assert stack.started == [("a", ["run", "a"]), ("b", ["run", "b"]), ("b", ["run", "b"])]
    assert roles.supervise() == []


def test_each_role_has_a_health_port_of_its_own_and_keeps_it() -> None:
    stack = RecordingStack()
    roles = Roles(stack, {"a": ["run"], "b": ["run"]}, first_health_port=8080)
    roles.start()
    end(roles, "b")
    assert roles.supervise()
    assert stack.health_ports == ["8080", "8081", "8081"]
    assert roles.health_ports == {"a": 8080, "b": 8081}


def test_without_a_health_port_each_role_takes_a_free_one() -> None:
    stack = RecordingStack()
    Roles(stack, {"a": ["run"], "b": ["run"]}).start()
    assert stack.health_ports == ["0", "0"]


def test_too_few_health_ports_are_one_sentence() -> None:
    with pytest.raises(ConfigurationError, match="^MILLRACE_HEALTH_PORT=65534 leaves too few ports"):
        Roles(RecordingStack(), dict.fromkeys("abc", ["run"]), first_health_port=65_534)


def test_a_role_that_never_runs_is_fatal(clock: Clock) -> None:
    roles = Roles(RecordingStack(), {"a": ["run"]}, clock)
    roles.start()
    for _ in range(MAX_RESTARTS):
        seconds_to_restart(roles, clock)
    end(roles, "a")
    with pytest.raises(FatalError, match=r"^a ended with code 3 and keeps doing so: Redis is away \(log: a\.log\)\.$"):
        roles.supervise()


def test_a_role_that_has_been_healthy_is_started_again_for_ever_less_and_less_often(clock: Clock) -> None:
    roles = Roles(RecordingStack(), {"a": ["run"]}, clock)
    roles.start()
    clock.now_s += HEALTHY_AFTER_S
    assert roles.supervise() == []
    assert [seconds_to_restart(roles, clock) for _ in range(8)] == [0, 1, 2, 4, 8, 16, 30, 30]
    end(roles, "a")
    clock.now_s += 30
    assert roles.supervise() == [
        "a ended with code 3 and keeps doing so: Redis is away (log: a.log); it was started again."
    ]


def test_a_role_that_is_killed_is_started_again_as_often_as_that_happens(clock: Clock) -> None:
    roles = Roles(RecordingStack(), {"a": ["run"]}, clock)
    roles.start()
    for number in range(3 * MAX_RESTARTS):
        end(roles, "a", -9)
        clock.now_s += 100.0
        assert len(roles.supervise()) == 1, number
    # Killed again at once, it has to wait.
    end(roles, "a", -9)
    assert roles.supervise() == []
    clock.now_s += 100.0
    assert len(roles.supervise()) == 1
