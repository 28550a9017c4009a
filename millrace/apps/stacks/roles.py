"""The roles of a running system: started beside a stack's servers, started again when one ends on its own."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from millrace.apps.stacks.child import Child
from millrace.apps.stacks.comeback import Comeback
from millrace.kernel.errors import ConfigurationError, FatalError

DEFAULT_RETRAIN_EVENTS = 2000
MAX_PORT = 65_535
# A role that has lasted so long has found its settings and servers usable: a start with unusable ones is over sooner.
HEALTHY_AFTER_S = 30.0
# One that gives up again after so many restarts, and has never been healthy, cannot run at all.
MAX_RESTARTS = 3


class SpawnsRoles(Protocol):
    """The side of a stack that roles need."""

    def spawn(self, role: str, argv: Sequence[str], env: Mapping[str, str] | None = None) -> Child:
        """Start a program beside the servers."""
        ...


def default_roles(retrain_every_events: int | None = DEFAULT_RETRAIN_EVENTS) -> dict[str, list[str]]:
    """Return the roles of a complete system: name and command.

    Args:
        retrain_every_events: New events that start a training; None trains the first version, then only on request.
    """
    schedule = [] if retrain_every_events is None else ["--every-events", str(retrain_every_events)]
    arguments = {
        "worker": ["worker"],
        "statistics": ["statistics"],
        "log-writer": ["log-writer"],
        "retrainer": ["retrainer", *schedule],
    }
    return {name: [sys.executable, "-P", "-m", "millrace", *rest] for name, rest in arguments.items()}


@dataclass
class _Role:
    """A role and its present process.

    Args:
        argv: Its command.
        child: Its process.
        comeback: Says when it may be started again.
        started_s: When the process was started.
        early_ends: How often in a row it gave up before it was healthy.
        been_healthy: Whether any of its processes was.
    """

    argv: list[str]
    child: Child
    comeback: Comeback
    started_s: float
    early_ends: int = 0
    been_healthy: bool = False


class Roles:
    """Roles running beside a stack.

    Args:
        stack: What starts them, and ends them when it stops.
        commands: Name and command of each.
        now: Clock in seconds.
        first_health_port: Port of the first role's health page; each further role takes the next one. 0: any free
            ones.

    Raises:
        ConfigurationError: There are not enough ports above the first one.
    """

    def __init__(
        self,
        stack: SpawnsRoles,
        commands: Mapping[str, Sequence[str]],
        now: Callable[[], float] = time.monotonic,
        first_health_port: int = 0,
    ) -> None:
        self._stack = stack
        self._now = now
        self._commands = commands
        self._roles: dict[str, _Role] = {}
        self.health_ports = _health_ports(list(commands), first_health_port)
        """The port of each role's health page; 0: any free one."""

    def start(self) -> None:
        """Start all roles.

        Raises:
            FatalError: A program cannot be started.
        """
        for name, argv in self._commands.items():
            self._roles[name] = _Role(list(argv), self._spawn(name, argv), Comeback(self._now), self._now())

    @property
    def children(self) -> dict[str, Child]:
        """The running process of each role."""
        return {name: role.child for name, role in self._roles.items()}

    def supervise(self) -> list[str]:
        """Start again what has ended, less and less often where it keeps ending; call it every second or so.

        Returns:
            A sentence for each role that had to be started again.

        Raises:
            FatalError: A role gives up time and again and has never been healthy, so that it cannot run at all.
        """
        return [sentence for name, role in self._roles.items() if (sentence := self._look_after(name, role))]

    def _look_after(self, name: str, role: _Role) -> str:
        if role.child.alive:
            if self._now() - role.started_s >= HEALTHY_AFTER_S:
                role.been_healthy, role.early_ends = True, 0
            return ""
        _refuse_hopeless(name, role)
        return self._restart(name, role) if role.comeback.due() else ""

    def _restart(self, name: str, role: _Role) -> str:
        ended = _how_it_ended(name, role)
        if not _killed(role):
            role.early_ends += 1
        role.child, role.started_s = self._spawn(name, role.argv), self._now()
        return f"{ended}; it was started again."

    def _spawn(self, name: str, argv: Sequence[str]) -> Child:
        return self._stack.spawn(name, argv, {"MILLRACE_HEALTH_PORT": str(self.health_ports[name])})


def _health_ports(names: Sequence[str], first: int) -> dict[str, int]:
    if not first:
        return dict.fromkeys(names, 0)
    if first + len(names) - 1 > MAX_PORT:
        raise ConfigurationError(
            f"MILLRACE_HEALTH_PORT={first} leaves too few ports for the health pages of {len(names)} roles: lower it."
        )
    return {name: first + place for place, name in enumerate(names)}


def _refuse_hopeless(name: str, role: _Role) -> None:
    """Let everything end for a role that has never run: whoever has just started it is there to read why.

    One that has been healthy takes nothing with it, for what it complains about may pass.

    Raises:
        FatalError: It has ended by itself, as it did after each restart.
    """
    if not role.been_healthy and not _killed(role) and role.early_ends >= MAX_RESTARTS:
        raise FatalError(f"{_how_it_ended(name, role)}.")


def _how_it_ended(name: str, role: _Role) -> str:
    """Return the words for a person, who may have to mend what it complains about."""
    repeated = " and keeps doing so" if role.early_ends >= MAX_RESTARTS else ""
    last_words = role.child.last_words() or "it said nothing"
    return f"{name} ended with code {role.child.exit_code}{repeated}: {last_words} (log: {role.child.log_path})"


def _killed(role: _Role) -> bool:
    """Return whether a signal has ended it: the kernel for lack of memory, an operator, a crash of a library."""
    return (role.child.exit_code or 0) < 0
