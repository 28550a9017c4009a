"""The roles of a running system: started beside a stack's servers, started again when one ends on its own."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from millrace.errors import FatalError
from millrace.stacks.child import Child
from millrace.stacks.comeback import Comeback

DEFAULT_RETRAIN_EVENTS = 2000
# A role that gives up this often within this time is broken, not unlucky. One that is killed is neither: it is started
# again as often as that happens, only later and later.
MAX_RESTARTS = 3
RESTART_WINDOW_S = 60.0


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
    return {name: [sys.executable, "-m", "millrace", *rest] for name, rest in arguments.items()}


@dataclass
class _Role:
    argv: list[str]
    child: Child
    comeback: Comeback
    restarts: list[float] = field(default_factory=list)


class Roles:
    """Roles running beside a stack.

    Args:
        stack: What starts them, and ends them when it stops.
        commands: Name and command of each.
        now: Clock in seconds.
    """

    def __init__(
        self,
        stack: SpawnsRoles,
        commands: Mapping[str, Sequence[str]],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stack = stack
        self._now = now
        self._commands = commands
        self._roles: dict[str, _Role] = {}

    def start(self) -> None:
        """Start all roles.

        Raises:
            FatalError: A program cannot be started.
        """
        for name, argv in self._commands.items():
            self._roles[name] = _Role(list(argv), self._stack.spawn(name, argv), Comeback(self._now))

    @property
    def children(self) -> dict[str, Child]:
        """The running process of each role."""
        return {name: role.child for name, role in self._roles.items()}

    def supervise(self) -> list[str]:
        """Start again what has ended; call it every second or so.

        Returns:
            A sentence for each role that had to be started again.

        Raises:
            FatalError: A role keeps giving up.
        """
        ended = [(name, role) for name, role in self._roles.items() if not role.child.alive]
        return [self._restart(name, role) for name, role in ended if not _killed(role) or role.comeback.due()]

    def _restart(self, name: str, role: _Role) -> str:
        ended = f"{name} ended with code {role.child.exit_code}"
        if not _killed(role):
            now = self._now()
            role.restarts = [*(at for at in role.restarts if now - at < RESTART_WINDOW_S), now]
        if len(role.restarts) > MAX_RESTARTS:
            last_words = role.child.last_words() or "it said nothing"
            raise FatalError(f"{ended} and keeps doing so: {last_words} (log: {role.child.log_path}).")
        role.child = self._stack.spawn(name, role.argv)
        return f"{ended} and was started again; see {role.child.log_path}."


def _killed(role: _Role) -> bool:
    """Return whether a signal has ended it: the kernel for lack of memory, an operator, a crash of a library."""
    return (role.child.exit_code or 0) < 0
