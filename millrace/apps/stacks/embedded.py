"""The embedded stack: Kafka, Redis, the event log and Triton from Python packages alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from millrace.apps.stacks.home import StackHome
from millrace.apps.stacks.kafka_mock import MockKafka
from millrace.apps.stacks.local import DATA_DIR as LOCAL_DATA_DIR
from millrace.apps.stacks.ports import FixedPorts
from millrace.apps.stacks.redis_server import RedisServer
from millrace.apps.stacks.service import Service
from millrace.apps.stacks.stack import Stack
from millrace.apps.stacks.triton_server import TritonServer, unsupported_reason
from millrace.kernel.errors import FatalError
from millrace.kernel.settings import DEFAULT_HOME
from millrace.streams.scoring.in_process import IN_PROCESS

# These refer to offsets and item indexes of Kafka and Redis, which keep no data here: the next run cannot use them.
RUN_STATE = ("events.sqlite", "events.sqlite-wal", "events.sqlite-shm", "models", "triton")


class EmbeddedStack(Stack):
    """All servers on loopback ports, stopped with this process.

    The embedded Kafka and Redis keep no data, so the data of an earlier run is moved to HOME/earlier.

    Args:
        home: Folder for logs, the event log, the registry and Triton's repository.
        ports: Ports to use instead of free ones.
        triton: Start Triton; without it the workers run the model in process.
        fresh: Delete the data of an earlier run instead of moving it.
        overrides: Settings fields to give every role, e.g. `list_length=20`.
    """

    def __init__(
        self,
        home: Path | str = DEFAULT_HOME,
        *,
        ports: FixedPorts | None = None,
        triton: bool = True,
        fresh: bool = False,
        overrides: Mapping[str, Any] | None = None,
    ) -> None:
        ports = ports or FixedPorts()
        folder = StackHome(Path(home))
        logs, path = folder.log_dir, folder.path
        self._fresh = fresh
        self.kafka = MockKafka()
        self.redis = RedisServer(logs, path / "redis", ports.redis)
        self.triton: TritonServer | None = None
        reason = unsupported_reason()
        if triton and not reason:
            self.triton = TritonServer(
                logs, path, path / "triton", ports.triton_grpc, ports.triton_http, ports.triton_metrics
            )
        services: list[Service] = [self.kafka, self.redis, *([self.triton] if self.triton else [])]
        super().__init__(folder, services, {"stack": "embedded", "triton_url": IN_PROCESS, **(overrides or {})})
        if triton and reason:
            self.notes.append(f"Models run inside the workers: {reason}.")

    def prepare(self) -> None:
        """Move or delete the data of an earlier run.

        Raises:
            FatalError: The folder belongs to a local stack.
        """
        if (self._home.path / LOCAL_DATA_DIR).exists():
            raise FatalError(
                f"{self._home.path} holds the data of a local stack, whose models an embedded one would take away: use "
                "--stack local, or set MILLRACE_HOME to another folder."
            )
        aside = self._home.clear(RUN_STATE, delete=self._fresh)
        if aside:
            self.notes.append(f"The data of an earlier run was moved to {aside}.")

    def create_topics(self, names: Sequence[str]) -> None:
        """Do nothing: the embedded broker creates a topic on first use."""

    def supervise(self) -> list[str]:
        """Restart Triton if it has ended; call it about once a second.

        Returns:
            A sentence for each restarted server.

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
