"""The kinds of fault: how each begins, how long it lasts, and how it ends."""

import contextlib
import random
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from millrace.apps.stacks.child import Child
from millrace.kernel.errors import TransientError
from millrace.load_tests.recovery.system import BROKERS, WORKERS, SystemUnderTest

STOPPED_S = 20.0
# Long enough for the log writer to fail, and for Cassandra to end and restart on a disk that is still full.
DISK_FULL_S = 8.0
# Long enough to cut connections that clients have reopened.
CUTTING_S = 2.0
_BALLAST = "ballast"
_BLOCK_BYTES = 1 << 20
_KILLED_WITHIN_S = 10.0


class Fault(Protocol):
    """One kind of fault."""

    lasts_s: float
    """Seconds between `begin` and `end`; 0 for a fault without duration."""

    def begin(self, system: SystemUnderTest, chance: random.Random) -> None:
        """Inject the fault."""
        ...

    def end(self, system: SystemUnderTest) -> None:
        """End the fault itself; the system must repair everything else."""
        ...


@dataclass(slots=True)
class Kill:
    """SIGKILL; supervision starts what has ended.

    Args:
        pick: Chooses the victims by name.
    """

    pick: Callable[[random.Random], list[str]]
    lasts_s: float = 0.0

    def begin(self, system: SystemUnderTest, chance: random.Random) -> None:
        """Kill."""
        victims = [system.child(name) for name in self.pick(chance)]
        for victim in victims:
            victim.send_signal(signal.SIGKILL)
        for victim in victims:
            if not victim.wait(_KILLED_WITHIN_S):
                raise TransientError(f"{victim.name} still runs after SIGKILL.")

    def end(self, system: SystemUnderTest) -> None:
        """Do nothing."""


@dataclass(slots=True)
class Stop:
    """SIGSTOP, and SIGCONT after a while: the process exists and its connections stay open, but it does not answer.

    Args:
        pick: Chooses the victims by name.
        lasts_s: Seconds until SIGCONT.
    """

    pick: Callable[[random.Random], list[str]]
    lasts_s: float = STOPPED_S
    _victims: list[Child] = field(default_factory=list)

    def begin(self, system: SystemUnderTest, chance: random.Random) -> None:
        """Stop."""
        self._victims = [system.child(name) for name in self.pick(chance)]
        for victim in self._victims:
            victim.send_signal(signal.SIGSTOP)

    def end(self, system: SystemUnderTest) -> None:
        """Continue."""
        for victim in self._victims:
            victim.send_signal(signal.SIGCONT)


@dataclass(slots=True)
class FillLogDisk:
    """The disk of Cassandra's event log is full for a while.

    Args:
        lasts_s: Seconds.
    """

    lasts_s: float = DISK_FULL_S

    def begin(self, system: SystemUnderTest, chance: random.Random) -> None:
        """Write until nothing more fits."""
        if not system.stack.log_disk_is_small:
            raise UntriedError(
                "this process may not mount a small disk for the event log, and the machine's own must not be filled"
            )
        block = bytes(_BLOCK_BYTES)
        with contextlib.suppress(OSError), self._ballast(system).open("wb", buffering=0) as ballast:
            while ballast.write(block):
                pass

    def end(self, system: SystemUnderTest) -> None:
        """Free the disk."""
        self._ballast(system).unlink()

    def _ballast(self, system: SystemUnderTest) -> Path:
        return system.stack.log_disk / _BALLAST


@dataclass(slots=True)
class Cut:
    """Connections to a server break in the middle of a message for a while.

    Args:
        servers: The proxies in front of it.
        lasts_s: Seconds.
    """

    servers: list[str]
    lasts_s: float = CUTTING_S

    def begin(self, system: SystemUnderTest, chance: random.Random) -> None:
        """Cut what is open, and every other connection made from now on."""
        for name in self.servers:
            system.stack.proxies[name].start_cutting()

    def end(self, system: SystemUnderTest) -> None:
        """Stop cutting."""
        for name in self.servers:
            system.stack.proxies[name].stop_cutting()


class UntriedError(Exception):
    """A fault that cannot be made here; the text says why."""


def always(*names: str) -> Callable[[random.Random], list[str]]:
    """Return a function that always picks these."""
    return lambda _: list(names)


def one_of(*names: str) -> Callable[[random.Random], list[str]]:
    """Return a function that picks one of these at random."""
    return lambda chance: [chance.choice(names)]


_VICTIMS: Mapping[str, Callable[[random.Random], list[str]]] = {
    "worker": one_of(*WORKERS),
    "workers": always(*WORKERS),
    "statistics": always("statistics"),
    "log-writer": always("log-writer"),
    "retrainer": always("retrainer"),
    "triton": always("triton"),
    "redis": always("redis"),
    "broker": one_of("kafka", *(f"kafka-{number}" for number in range(2, BROKERS + 1))),
    "cassandra": always("cassandra"),
}
# The retrainer is mostly idle: these faults begin during a training.
IN_TRAINING = frozenset({"kill-retrainer", "stop-retrainer"})

KINDS: Mapping[str, Callable[[], Fault]] = {
    **{f"kill-{name}": lambda pick=pick: Kill(pick) for name, pick in _VICTIMS.items()},  # type: ignore[misc]
    **{f"stop-{name}": lambda pick=pick: Stop(pick) for name, pick in _VICTIMS.items()},  # type: ignore[misc]
    "fill-log-disk": FillLogDisk,
    "cut-redis": lambda: Cut(["redis"]),
    "cut-kafka": lambda: Cut([f"kafka-{number}" for number in range(1, BROKERS + 1)]),
    "cut-triton": lambda: Cut(["triton"]),
    "cut-cassandra": lambda: Cut(["cassandra"]),
}
"""Every kind by name."""

TOGETHER: tuple[tuple[str, ...], ...] = (
    ("stop-worker", "stop-statistics", "stop-cassandra", "stop-retrainer"),
    ("stop-workers", "stop-redis", "stop-triton"),
    ("stop-broker", "stop-log-writer"),
)
"""Kinds tried at the same moment: each lasts long, and they hit different processes."""


def trials_of(kinds: list[str]) -> list[tuple[str, ...]]:
    """Return what is tried together, each kind once; the others alone."""
    groups = [tuple(kind for kind in group if kind in kinds) for group in TOGETHER]
    grouped = {kind for group in groups for kind in group}
    return [(kind,) for kind in kinds if kind not in grouped] + [group for group in groups if group]
