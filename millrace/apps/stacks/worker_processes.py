"""Several workers on this machine, supervised by one process that restarts and stops them."""

import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from millrace.apps.stacks.child import Child, start_child
from millrace.apps.stacks.restart_backoff import RestartBackoff
from millrace.apps.stacks.stack import stop_all
from millrace.kernel.settings import Settings
from millrace.runtime.interrupts import ended_by_signals

_SUPERVISE_S = 0.2
_COMMAND = (sys.executable, "-P", "-m", "millrace", "worker")

Start = Callable[[str, Sequence[str], Path, Mapping[str, str]], Child]

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Slot:
    """One worker: a name, and the process that runs under it now."""

    name: str
    child: Child
    backoff: RestartBackoff = field(default_factory=RestartBackoff)


class WorkerProcesses:
    """Equal workers of one consumer group.

    Args:
        settings: Given to each of them; their logs go to its log folder.
        count: How many.
        command: Starts a worker.
        start: Starts a process that ends with this one.
    """

    def __init__(
        self, settings: Settings, count: int, command: Sequence[str] = _COMMAND, start: Start = start_child
    ) -> None:
        self._settings = settings
        self._command = command
        self._start = start
        settings.log_dir.mkdir(parents=True, exist_ok=True)
        self._slots = [_Slot(name, self._spawn(name)) for name in map(_name, range(1, count + 1))]

    @property
    def children(self) -> list[Child]:
        """The process of each worker, running or ended."""
        return [slot.child for slot in self._slots]

    def supervise(self) -> list[str]:
        """Restart workers that have ended, with back-off; call it several times a second.

        Returns:
            A sentence for each restarted worker.
        """
        return [self._bring_back(slot) for slot in self._slots if not slot.child.alive and slot.backoff.due()]

    def stop(self) -> None:
        """Stop all at the same time, each after its current batch."""
        stop_all(self.children)

    def _bring_back(self, slot: _Slot) -> str:
        code, last_words = slot.child.exit_code, slot.child.last_words()
        slot.child.stop(0.0)
        slot.child = self._spawn(slot.name)
        return f"{slot.name} ended with code {code} and was started again ({last_words or 'it said nothing'})."

    def _spawn(self, name: str) -> Child:
        return self._start(name, self._command, self._settings.log_dir, self._environment(name))

    def _environment(self, name: str) -> Mapping[str, str]:
        """Return the settings with a name in the consumer group that a worker started again takes over.

        Health pages follow one another from the configured port on.
        """
        member = f"{socket.gethostname()}-{os.getpid()}-{name}"
        first_port = self._settings.health_port
        port = first_port + int(name.rpartition("-")[2]) - 1 if first_port else 0
        return {
            **os.environ,
            **self._settings.environment(),
            "MILLRACE_KAFKA_GROUP_MEMBER": member,
            "MILLRACE_HEALTH_PORT": str(port),
        }


def _name(number: int) -> str:
    return f"worker-{number}"


def run_worker_processes(settings: Settings, count: int) -> None:
    """Run workers until SIGTERM, SIGINT or SIGHUP, then stop them all.

    Raises:
        FatalError: A process cannot be started.
    """
    never = threading.Event()
    with ended_by_signals():
        workers = WorkerProcesses(settings, count)
        try:
            for child in workers.children:
                logger.info("%s is process %d, its log is %s.", child.name, child.pid, child.log_path)
            while not never.wait(_SUPERVISE_S):
                for sentence in workers.supervise():
                    logger.warning("%s", sentence)
        except KeyboardInterrupt:
            logger.info("Ending %d workers.", count)
        finally:
            workers.stop()
