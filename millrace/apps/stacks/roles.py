"""The roles of a running system: started beside a stack's servers and restarted when they end."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from millrace.apps.stacks.child import Child
from millrace.apps.stacks.restart_backoff import RestartBackoff
from millrace.kernel.errors import ConfigurationError, FatalError

DEFAULT_RETRAIN_EVENTS = 2000
MAX_PORT = 65_535
# A role that has run for this long has usable settings and servers: a start with unusable ones ends sooner.
HEALTHY_AFTER_S = 30.0
# A role that has never been healthy and ends again after so many restarts cannot run at all.
MAX_RESTARTS = 3


class SpawnsRoles(Protocol):
    """What roles need of a stack."""

    def spawn(self, role: str, argv: Sequence[str], env: Mapping[str, str] | None = None) -> Child:
        """Start a program beside the servers."""
        ...


def default_roles(
    retrain_every_events: int | None = DEFAULT_RETRAIN_EVENTS, quick_first: bool = False
) -> dict[str, list[str]]:
    """Return the roles of a complete system: name and command.

    Args:
        retrain_every_events: New events that start a training; None trains the first version, then only on request.
        quick_first: Whether the first version comes without an encoder, which is trained after it.
    """
    schedule = [] if retrain_every_events is None else ["--every-events", str(retrain_every_events)]
    schedule += ["--quick-first"] if quick_first else []
    arguments = {
        "worker": ["worker"],
        "statistics": ["statistics"],
        "log-writer": ["log-writer"],
        "retrainer": ["retrainer", *schedule],
    }
    return {name: [sys.executable, "-P", "-m", "millrace", *rest] for name, rest in arguments.items()}


@dataclass
class _Role:
    """A role and its current process.

    Args:
        argv: Its command.
        child: Its process.
        backoff: Says when it may be started again.
        started_s: When the process was started.
        early_ends: How often in a row it gave up before it was healthy.
        been_healthy: Whether any of its processes was.
    """

    argv: list[str]
    child: Child
    backoff: RestartBackoff
    started_s: float
    early_ends: int = 0
    been_healthy: bool = False


class Roles:
    """Roles running beside a stack.

    Args:
        stack: Starts them, and stops them when it stops.
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

    def start(self, *names: str) -> None:
        """Start roles that have not been started.

        Args:
            names: Which; all without any.

        Raises:
            FatalError: A program cannot be started.
        """
        for name in names or self._commands:
            if name in self._roles:
                continue
            argv = self._commands[name]
            self._roles[name] = _Role(list(argv), self._spawn(name, argv), RestartBackoff(self._now), self._now())

    @property
    def children(self) -> dict[str, Child]:
        """The running process of each role."""
        return {name: role.child for name, role in self._roles.items()}

    def supervise(self) -> list[str]:
        """Restart roles that have ended, with back-off; call it about once a second.

        Returns:
            A sentence for each restarted role.

        Raises:
            FatalError: A role keeps ending and has never been healthy: it cannot run at all.
        """
        return [sentence for name, role in self._roles.items() if (sentence := self._look_after(name, role))]

    def _look_after(self, name: str, role: _Role) -> str:
        if role.child.alive:
            if self._now() - role.started_s >= HEALTHY_AFTER_S:
                role.been_healthy, role.early_ends = True, 0
            return ""
        _refuse_hopeless(name, role)
        return self._restart(name, role) if role.backoff.due() else ""

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
    """Stop everything for a role that has never been healthy: the user has just started it and can read why.

    A role that has been healthy does not stop the others: the cause may pass.

    Raises:
        FatalError: It has ended by itself after each restart.
    """
    if not role.been_healthy and not _killed(role) and role.early_ends >= MAX_RESTARTS:
        raise FatalError(f"{_how_it_ended(name, role)}.")


def _how_it_ended(name: str, role: _Role) -> str:
    """Return how it ended, with the last line of its log."""
    repeated = " and keeps doing so" if role.early_ends >= MAX_RESTARTS else ""
    last_words = role.child.last_words() or "it said nothing"
    return f"{name} ended with code {role.child.exit_code}{repeated}: {last_words} (log: {role.child.log_path})"


def _killed(role: _Role) -> bool:
    """Return whether a signal ended it: out of memory, an operator, a crashed library."""
    return (role.child.exit_code or 0) < 0
