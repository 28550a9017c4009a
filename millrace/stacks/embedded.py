"""The embedded stack: Kafka, Redis, the event log and Triton from Python packages alone."""

import logging
import os
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from millrace.config import DEFAULT_HOME, Settings, load_settings
from millrace.errors import FatalError
from millrace.stacks.child import STOP_DEADLINE_S, Child, start_child
from millrace.stacks.home import StackHome
from millrace.stacks.kafka_mock import MockKafka
from millrace.stacks.ports import Ports
from millrace.stacks.redis_server import RedisServer
from millrace.stacks.service import Service, wait_ready
from millrace.stacks.triton_server import TritonServer, unsupported_reason
from streams.scoring.in_process import IN_PROCESS

READY_DEADLINE_S = 30.0
# What the event log, the registry and Triton's repository keep refers to offsets and item indexes of servers that keep
# nothing, so it is of no use to the next run.
RUN_STATE = ("events.sqlite", "events.sqlite-wal", "events.sqlite-shm", "models", "triton")

logger = logging.getLogger(__name__)


class EmbeddedStack:
    """All servers on loopback ports, ended with this process.

    What an earlier run left in the folder is set aside (HOME/earlier), since the embedded Kafka and Redis keep nothing.

    Args:
        home: Folder for logs, the event log, the registry and Triton's repository.
        ports: Ports to use instead of free ones.
        triton: Start Triton; without it the workers run the model in process.
        fresh: Delete what an earlier run left instead of setting it aside.
        overrides: Settings fields to give every role, e.g. `list_length=20`.
    """

    def __init__(
        self,
        home: Path | str = DEFAULT_HOME,
        *,
        ports: Ports | None = None,
        triton: bool = True,
        fresh: bool = False,
        overrides: Mapping[str, Any] | None = None,
    ) -> None:
        ports = ports or Ports()
        self._home = StackHome(Path(home))
        self._fresh = fresh
        self._overrides = dict(overrides or {})
        logs, path = self._home.log_dir, self._home.path
        self.kafka = MockKafka()
        self.redis = RedisServer(logs, path / "redis", ports.redis)
        self.triton: TritonServer | None = None
        self.notes: list[str] = []
        """Sentences a person should see once it has started."""
        if triton and (reason := unsupported_reason()):
            self.notes.append(f"Models run inside the workers: {reason}.")
        elif triton:
            self.triton = TritonServer(
                logs, path, path / "triton", ports.triton_grpc, ports.triton_http, ports.triton_metrics
            )
        self._services: list[Service] = [self.kafka, self.redis, *([self.triton] if self.triton else [])]
        self._roles: list[Child] = []
        self._settings: Settings | None = None
        self._lock = threading.RLock()

    @property
    def settings(self) -> Settings:
        """Settings with the addresses of the running servers.

        Raises:
            FatalError: The stack is not running.
        """
        if self._settings is None:
            raise FatalError("The stack has not been started.")
        return self._settings

    @property
    def children(self) -> list[Child]:
        """Every child process, servers first."""
        return [*(service.child for service in self._services if service.child), *self._roles]

    def start(self) -> Self:
        """Start the servers and wait until all answer.

        Raises:
            FatalError: One cannot start; everything started so far has been ended.
        """
        if self._settings is not None:
            return self
        self._home.acquire()
        try:
            self._start()
        except OSError as error:
            self.stop()
            raise FatalError(f"The stack could not start in {self._home.path}: {error.strerror or error}.") from None
        except BaseException:
            self.stop()
            raise
        return self

    def _start(self) -> None:
        aside = self._home.clear(RUN_STATE, delete=self._fresh)
        if aside:
            self.notes.append(f"What an earlier run left was set aside in {aside}.")
        # All are told to start before any is waited for.
        for service in self._services:
            service.start()
        wait_ready(self._services, READY_DEADLINE_S)
        addresses: dict[str, Any] = {"stack": "embedded", "triton_url": IN_PROCESS, **self._overrides}
        for service in self._services:
            addresses |= service.settings()
        self._settings = load_settings(home=self._home.path, **addresses)
        self._published = {"event_log", *addresses}
        self._publish()

    def _publish(self) -> None:
        addresses = self.settings.model_dump(mode="json", include=self._published)
        self._home.publish({**addresses, "event_log": self.settings.event_log_url}, self.children)

    def spawn(self, role: str, argv: Sequence[str], env: Mapping[str, str] | None = None) -> Child:
        """Start a role beside the servers; it gets these settings and ends with this process.

        Args:
            role: Its name; its output goes to HOME/logs/ROLE.log.
            argv: Program and arguments.
            env: Variables in addition.

        Raises:
            FatalError: The stack is not running or the program cannot be started.
        """
        environment = {**os.environ, **self.settings.environment(), **(env or {})}
        child = start_child(role, argv, self._home.log_dir, environment)
        with self._lock:
            self._roles.append(child)
            self._publish()
        return child

    def supervise(self) -> list[str]:
        """Start Triton again if it has ended; call it every second or so.

        Returns:
            A sentence for each server that had to be started again.

        Raises:
            FatalError: Redis has ended, and with it all state.
        """
        if self.redis.child is not None and not self.redis.child.alive:
            raise FatalError(
                f"Redis ended with code {self.redis.child.exit_code} and what it held is gone: start again "
                f"(log: {self.redis.child.log_path})."
            )
        if self.triton is None or self.triton.child is None or self.triton.child.alive:
            return []
        code = self.triton.child.exit_code
        self.triton.stop()
        self.triton.start()
        with self._lock:
            self._publish()
        return [f"Triton ended with code {code} and was started again; lists came from the counts meanwhile."]

    def stop(self) -> None:
        """End the roles, then the servers; safe to call twice."""
        with self._lock:
            roles, self._roles = self._roles, []
            stop_all(roles)
            for service in reversed(self._services):
                service.stop()
            self._settings = None
            self._home.release()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def stop_all(children: Sequence[Child], deadline_s: float = STOP_DEADLINE_S) -> None:
    """End children at the same time, within one deadline for all."""
    deadline = time.monotonic() + deadline_s
    for child in children:
        child.request_stop()
    for child in children:
        if not child.wait(max(0.0, deadline - time.monotonic())):
            logger.warning("%s did not end within %g s and was killed; see %s", child.name, deadline_s, child.log_path)
        child.stop(0.0)
