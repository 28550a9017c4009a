"""What every stack has in common: servers and roles that start together and end with this process."""

import logging
import os
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from millrace.apps.stacks.child import STOP_DEADLINE_S, Child, start_child
from millrace.apps.stacks.home import StackHome
from millrace.apps.stacks.service import Service, wait_ready
from millrace.kernel.errors import FatalError
from millrace.kernel.settings import Settings, load_settings
from millrace.runtime import interrupts

READY_DEADLINE_S = 30.0

logger = logging.getLogger(__name__)


class Stack:
    """Servers and the roles beside them. Roles stop first, then the servers in reverse order.

    Args:
        home: Folder for logs and data; one stack at a time runs in it.
        services: The servers; each contributes its address to the settings.
        settings: Settings fields to give every role; a server's own come after them.
    """

    ready_deadline_s = READY_DEADLINE_S
    """How long the servers may take to answer."""

    def __init__(self, home: StackHome, services: Sequence[Service], settings: Mapping[str, Any]) -> None:
        self._home = home
        self._services = list(services)
        self._given = dict(settings)
        self.notes: list[str] = []
        """Sentences to show to the user after the start."""
        self.started_in_s = 0.0
        """How long the start took, until the last server answered."""
        self._roles: list[Child] = []
        self._settings: Settings | None = None
        self._lock = threading.RLock()

    def fetch(self) -> None:
        """Download what the servers need; for a stack to override.

        A start does that as well. Call this to have it done beforehand.

        Raises:
            FatalError: The download failed.
        """

    def prepare(self) -> None:
        """Prepare the folder before the servers start; for a stack to override."""

    def provision(self) -> None:
        """Create what roles expect on the running servers, e.g. topics; for a stack to override."""

    def create_topics(self, names: Sequence[str]) -> None:
        """Create further topics with the configured number of partitions, for a measurement.

        Raises:
            TransientError: Kafka does not answer.
        """
        from millrace.kernel.topic_admin import ensure_topics

        ensure_topics(self.settings, names)

    def supervise(self) -> list[str]:
        """Restart servers that have ended; for a stack to override.

        Returns:
            A sentence for each restarted server.

        Raises:
            FatalError: A server has ended that cannot be restarted.
        """
        return []

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
            FatalError: A server cannot start; everything started so far has been stopped.
        """
        if self._settings is not None:
            return self
        began_s = time.monotonic()
        self._home.acquire()
        interrupts.on_forced_end(self._end_by_force)
        try:
            self._start()
            self.started_in_s = time.monotonic() - began_s
        except OSError as error:
            self.stop()
            raise FatalError(f"The stack could not start in {self._home.path}: {error.strerror or error}.") from None
        except BaseException:
            self.stop()
            raise
        return self

    def _start(self) -> None:
        self.prepare()
        # They start in parallel.
        for service in self._services:
            service.start()
        wait_ready(self._services, self.ready_deadline_s)
        addresses = dict(self._given)
        for service in self._services:
            addresses |= service.settings()
        self._settings = load_settings(home=self._home.path, **addresses)
        self.provision()
        self._publish()

    def _publish(self) -> None:
        self._home.publish(self.settings.shared(), self.children)

    def spawn(self, role: str, argv: Sequence[str], env: Mapping[str, str] | None = None) -> Child:
        """Start a role beside the servers; it gets the stack's settings and ends with this process.

        Args:
            role: Its name; its output goes to HOME/logs/ROLE.log.
            argv: Program and arguments.
            env: Variables in addition.

        Raises:
            FatalError: The stack is not running or the program cannot be started.
        """
        # Several roles cannot listen on one port: each takes a free one, unless the caller gives it its own.
        own = {"MILLRACE_HEALTH_PORT": "0", **(env or {})}
        environment = {**os.environ, **self.settings.environment(), **own}
        child = start_child(role, argv, self._home.log_dir, environment)
        with self._lock:
            # The kernel may reuse the process id of one that has ended.
            self._roles = [*(one for one in self._roles if one.name != role or one.alive), child]
            self._publish()
        return child

    def stop(self) -> None:
        """Stop the roles, then the servers; safe to call twice."""
        with interrupts.shielded(), self._lock:
            roles, self._roles = self._roles, []
            stop_all(roles)
            # No role needs them any more: they stop in parallel.
            for child in self.children:
                child.request_stop()
            for service in reversed(self._services):
                service.stop()
            self._settings = None
            self._home.release()
            interrupts.forget(self._end_by_force)

    def _end_by_force(self) -> None:
        """Kill every process and tidy up behind it, without the lock: the main thread may hang in `stop`."""
        for child in self.children:
            child.kill()
        for service in self._services:
            # One without a process lives in this one, and ends with it.
            if service.child is not None:
                service.stop()
        self._home.release()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def stop_all(children: Sequence[Child], deadline_s: float = STOP_DEADLINE_S) -> None:
    """Stop children in parallel, within one deadline for all."""
    deadline = time.monotonic() + deadline_s
    for child in children:
        child.request_stop()
    for child in children:
        if not child.wait(max(0.0, deadline - time.monotonic())):
            logger.warning("%s did not end within %g s and was killed; see %s", child.name, deadline_s, child.log_path)
        child.stop(0.0)
