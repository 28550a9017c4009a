"""The local stack: Kafka, Cassandra, Redis and Triton as real servers on this machine, without Docker."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from millrace.apps.stacks.cassandra_server import CassandraServer
from millrace.apps.stacks.home import StackHome
from millrace.apps.stacks.jars import CASSANDRA_JARS, KAFKA_JARS, ensure_jars
from millrace.apps.stacks.java import find_java
from millrace.apps.stacks.kafka_server import KafkaCluster
from millrace.apps.stacks.ports import FixedPorts
from millrace.apps.stacks.redis_cluster import RedisCluster
from millrace.apps.stacks.redis_server import RedisServer
from millrace.apps.stacks.restart_backoff import RestartBackoff
from millrace.apps.stacks.service import Service
from millrace.apps.stacks.stack import Stack
from millrace.apps.stacks.triton_server import TritonServer, unsupported_reason
from millrace.kernel.settings import DEFAULT_HOME
from millrace.streams.scoring.in_process import IN_PROCESS

# Where the servers keep their data; marks a folder that belongs to a local stack.
DATA_DIR = "data"
# Deleted together: model versions refer to offsets and item indexes of these servers.
FRESH_STATE = (DATA_DIR, "models", "triton")
# Ten seconds on two idle cores; a machine that is busy with a training needs several times that.
LOCAL_READY_DEADLINE_S = 120.0


class LocalStack(Stack):
    """All servers on loopback ports, stopped with this process; their data stays for the next start.

    Args:
        home: Folder for logs, data, the registry and Triton's repository.
        ports: Ports to use instead of free ones.
        brokers: 1, or 3 for a Kafka that replicates.
        redis_cluster: Six Redis nodes instead of one server; each keeps its own data.
        triton: Start Triton; without it the workers run the model in process.
        fresh: Delete the data of an earlier run.
        overrides: Settings fields to give every role, e.g. `list_length=20`.
        jvm_options: More options of the JVMs.
    """

    ready_deadline_s = LOCAL_READY_DEADLINE_S
    kafka_type = KafkaCluster
    """Type of the brokers; for a stack to override."""

    def __init__(
        self,
        home: Path | str = DEFAULT_HOME,
        *,
        ports: FixedPorts | None = None,
        brokers: int = 1,
        redis_cluster: bool = False,
        triton: bool = True,
        fresh: bool = False,
        overrides: Mapping[str, Any] | None = None,
        jvm_options: Sequence[str] = (),
    ) -> None:
        ports = ports or FixedPorts()
        folder = StackHome(Path(home))
        logs, data = folder.log_dir, folder.path / DATA_DIR
        self._fresh = fresh
        self.kafka = self.kafka_type(logs, data / "kafka", brokers, ports.kafka, jvm_options)
        self.cassandra = CassandraServer(logs, data / "cassandra", ports.cassandra, jvm_options)
        self.redis = RedisServer(logs, data / "redis", ports.redis, append_only=True)
        self.redis_cluster = RedisCluster(logs, data / "redis-cluster") if redis_cluster else None
        self.triton: TritonServer | None = None
        reason = unsupported_reason()
        if triton and not reason:
            self.triton = TritonServer(
                logs, folder.path, folder.path / "triton", ports.triton_grpc, ports.triton_http, ports.triton_metrics
            )
        nodes: list[Service] = [*self.redis_cluster.nodes] if self.redis_cluster else [self.redis]
        services: list[Service] = [*self.kafka.brokers, self.cassandra, *nodes]
        if self.triton is not None:
            services.append(self.triton)
        super().__init__(folder, services, {"stack": "local", "triton_url": IN_PROCESS, **(overrides or {})})
        if triton and reason:
            self.notes.append(f"Models run inside the workers: {reason}.")
        self._backoffs = {service.name: RestartBackoff() for service in services}

    def fetch(self) -> None:
        """Find Java, and download the jars that are missing.

        Raises:
            FatalError: Java or Maven is missing, or Maven failed.
        """
        find_java()
        for jars in (KAFKA_JARS, CASSANDRA_JARS):
            ensure_jars(jars)

    def prepare(self) -> None:
        """Delete the data of an earlier run if asked to; move the models of an embedded stack."""
        if self._fresh:
            self._home.clear(FRESH_STATE, delete=True)
        elif not (self._home.path / DATA_DIR).exists():
            aside = self._home.clear(("models", "triton"), delete=False)
            if aside:
                self.notes.append(f"The models of another stack were moved to {aside}.")
        if self.redis_cluster is not None:
            self.redis_cluster.prepare()

    def provision(self) -> None:
        """Create the topics and the event log's tables where they are missing; join Redis nodes."""
        from millrace.kernel.topic_admin import ensure_topics
        from millrace.stores.event_log import create_schema

        self.notes += ensure_topics(self.settings)
        create_schema(self.settings)
        if self.redis_cluster is not None:
            self.redis_cluster.form()

    def supervise(self) -> list[str]:
        """Restart servers that have ended, with back-off; call it about once a second.

        Returns:
            A sentence for each restarted server.

        Raises:
            FatalError: A server cannot be started at all.
        """
        sentences = [sentence for service in self._services if (sentence := self._bring_back(service))]
        if sentences:
            with self._lock:
                self._publish()
        return sentences

    def _bring_back(self, service: Service) -> str:
        child, backoff = service.child, self._backoffs[service.name]
        if child is None or child.alive or not backoff.due():
            return ""
        code, last_words = child.exit_code, child.last_words()
        service.stop()
        ended = f"{service.name} ended with code {code}"
        try:
            service.start()
        except OSError as error:
            # Usually a full disk, which may also be why it ended.
            return f"{ended} and cannot be started yet ({error.strerror}); it is tried again."
        return f"{ended} and was started again ({last_words or 'it said nothing'})."
