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
from millrace.load_tests.recovery.stand import BROKERS, WORKERS, Stand

STOPPED_S = 20.0
# Long enough for the log writer to run into it, and for Cassandra to end and be started on a disk that is still full.
DISK_FULL_S = 8.0
# Long enough for those that were made again to be cut again.
CUTTING_S = 2.0
_BALLAST = "ballast"
_BLOCK_BYTES = 1 << 20
_KILLED_WITHIN_S = 10.0


class Fault(Protocol):
    """Something that goes wrong."""

    lasts_s: float
    """How long it goes on by itself; 0 for what happens at once."""

    def begin(self, stand: Stand, chance: random.Random) -> None:
        """Make it happen."""
        ...

    def end(self, stand: Stand) -> None:
        """Take away what keeps it going; nobody repairs anything else."""
        ...


@dataclass(slots=True)
class Kill:
    """SIGKILL; supervision starts what has ended.

    Args:
        pick: Chooses the victims by name.
    """

    pick: Callable[[random.Random], list[str]]
    lasts_s: float = 0.0

    def begin(self, stand: Stand, chance: random.Random) -> None:
        """Kill."""
        victims = [stand.child(name) for name in self.pick(chance)]
        for victim in victims:
            victim.send_signal(signal.SIGKILL)
        for victim in victims:
            if not victim.wait(_KILLED_WITHIN_S):
                raise TransientError(f"{victim.name} lives on after SIGKILL.")

    def end(self, stand: Stand) -> None:
        """Do nothing."""


@dataclass(slots=True)
class Stop:
    """SIGSTOP, and SIGCONT after a while: the process is there, its connections are open, and it says nothing.

    Args:
        pick: Chooses the victims by name.
        lasts_s: How long they stand still.
    """

    pick: Callable[[random.Random], list[str]]
    lasts_s: float = STOPPED_S
    _victims: list[Child] = field(default_factory=list)

    def begin(self, stand: Stand, chance: random.Random) -> None:
        """Stop."""
        self._victims = [stand.child(name) for name in self.pick(chance)]
        for victim in self._victims:
            victim.send_signal(signal.SIGSTOP)

    def end(self, stand: Stand) -> None:
        """Go on."""
        for victim in self._victims:
            victim.send_signal(signal.SIGCONT)


@dataclass(slots=True)
class FillLogDisk:
    """Not a byte is left where Cassandra keeps the event log, for a while.

    Args:
        lasts_s: How long.
    """

    lasts_s: float = DISK_FULL_S

    def begin(self, stand: Stand, chance: random.Random) -> None:
        """Write until nothing more fits."""
        if not stand.stack.log_disk_is_small:
            raise UntriedError("this process may not mount a small disk for the event log, and filling yours is rude")
        block = bytes(_BLOCK_BYTES)
        with contextlib.suppress(OSError), self._ballast(stand).open("wb", buffering=0) as ballast:
            while ballast.write(block):
                pass

    def end(self, stand: Stand) -> None:
        """Give the room back."""
        self._ballast(stand).unlink()

    def _ballast(self, stand: Stand) -> Path:
        return stand.stack.log_disk / _BALLAST


@dataclass(slots=True)
class Cut:
    """For a while connections to a server end in the middle of a message.

    Args:
        servers: The proxies in front of it.
        lasts_s: How long.
    """

    servers: list[str]
    lasts_s: float = CUTTING_S

    def begin(self, stand: Stand, chance: random.Random) -> None:
        """Cut what is open, and every other connection made from now on."""
        for name in self.servers:
            stand.stack.proxies[name].start_cutting()

    def end(self, stand: Stand) -> None:
        """Cut no more."""
        for name in self.servers:
            stand.stack.proxies[name].stop_cutting()


class UntriedError(Exception):
    """A fault that cannot be made here; the text says why."""


def always(*names: str) -> Callable[[random.Random], list[str]]:
    """Return what picks these every time."""
    return lambda _: list(names)


def one_of(*names: str) -> Callable[[random.Random], list[str]]:
    """Return what picks one of these."""
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
# What is tried in training: the retrainer is idle most of the time.
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
"""Kinds that are tried at the same moment: each lasts long, and they hit different parts."""


def trials_of(kinds: list[str]) -> list[tuple[str, ...]]:
    """Return what is tried together, each kind once; the others alone."""
    groups = [tuple(kind for kind in group if kind in kinds) for group in TOGETHER]
    grouped = {kind for group in groups for kind in group}
    return [(kind,) for kind in kinds if kind not in grouped] + [group for group in groups if group]
