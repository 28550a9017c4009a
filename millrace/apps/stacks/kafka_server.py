"""Apache Kafka in KRaft mode as child processes: one broker, or several that replicate to each other."""

import base64
import shlex
import socket
import struct
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from millrace.apps.stacks.child import Child, start_child
from millrace.apps.stacks.jars import KAFKA_JARS, ensure_jars
from millrace.apps.stacks.java import find_java
from millrace.apps.stacks.jvm import Jvm
from millrace.apps.stacks.ports import LOOPBACK, choose_port
from millrace.kernel.errors import FatalError

HEAP_MB = 512
# Enough for one broker to be away while producers that ask for all replicas go on.
REPLICAS = 3
MIN_IN_SYNC = 2
# Brokers refuse shorter sessions by default.
SESSION_TIMEOUT_MS = 6000
# A broker that is silent for so long hands its partitions on; Kafka's own nine seconds are for larger networks.
_BROKER_SESSION_MS = 6000
_PROBE_TIMEOUT_S = 0.5
_METADATA_API, _METADATA_VERSION = 3, 1

_LOGGING = """<?xml version="1.0" encoding="UTF-8"?>
<Configuration status="WARN">
  <Appenders>
    <Console name="console"><PatternLayout pattern="%d{ISO8601} %p %m (%c)%n"/></Console>
  </Appenders>
  <Loggers>
    <Root level="WARN"><AppenderRef ref="console"/></Root>
  </Loggers>
</Configuration>
"""


@dataclass(frozen=True, slots=True)
class _Node:
    """One broker's number and ports."""

    number: int
    port: int
    controller_port: int


class KafkaCluster:
    """Brokers that are controllers as well, each a `Service` of its own.

    Args:
        log_dir: Where their logs go.
        data_dir: Where they keep topics; a later cluster of the same size goes on with them.
        brokers: 1, or 3 for replicated topics.
        port: Of the first broker; 0 takes any free one.
        jvm_options: More options of the JVMs.

    Raises:
        FatalError: The number of brokers is neither, or the folder was made with another number.
    """

    def __init__(
        self, log_dir: Path, data_dir: Path, brokers: int = 1, port: int = 0, jvm_options: Sequence[str] = ()
    ) -> None:
        if brokers not in {1, REPLICAS}:
            raise FatalError(f"A local Kafka has 1 or {REPLICAS} brokers, not {brokers}; give --brokers {REPLICAS}.")
        self._data_dir = data_dir
        self._wanted_port = port
        self._nodes: tuple[_Node, ...] = ()
        self.replicas = brokers
        self.jvm_options = tuple(jvm_options)
        self.format_options: tuple[str, ...] = ()
        self.brokers = [KafkaBroker(self, number, log_dir, data_dir) for number in range(1, brokers + 1)]

    @property
    def bootstrap(self) -> str:
        """All brokers' addresses, `host:port` with commas."""
        return ",".join(f"{LOOPBACK}:{node.port}" for node in self._nodes)

    def node(self, number: int) -> _Node:
        """Return a broker's ports; chosen for all at the first call and kept after that."""
        if not self._nodes:
            self._refuse_another_size()
            self._nodes = tuple(
                _Node(
                    each.number,
                    choose_port(self._wanted_port if each.number == 1 else 0, each.name),
                    choose_port(0, f"{each.name}'s controller"),
                )
                for each in self.brokers
            )
        return self._nodes[number - 1]

    def cluster_id(self) -> str:
        """Return the id that ties the brokers' folders together, made at the first start."""
        path = self._data_dir / "cluster.id"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_new_cluster_id())
        return path.read_text().strip()

    def properties(self, number: int) -> dict[str, object]:
        """Return the configuration of a broker."""
        node = self.node(number)
        return {
            "process.roles": "broker,controller",
            "node.id": node.number,
            "controller.quorum.voters": ",".join(
                f"{each.number}@{LOOPBACK}:{each.controller_port}" for each in self._nodes
            ),
            "listeners": f"PLAINTEXT://{LOOPBACK}:{node.port},CONTROLLER://{LOOPBACK}:{node.controller_port}",
            "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{node.port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": self._data_dir / f"broker-{node.number}",
            "default.replication.factor": self.replicas,
            "offsets.topic.replication.factor": self.replicas,
            "transaction.state.log.replication.factor": self.replicas,
            "share.coordinator.state.topic.replication.factor": self.replicas,
            "min.insync.replicas": self.min_in_sync,
            "transaction.state.log.min.isr": self.min_in_sync,
            "share.coordinator.state.topic.min.isr": self.min_in_sync,
            # Fifty by default: seconds of start-up for a handful of consumer groups.
            "offsets.topic.num.partitions": 4,
            # A misspelt topic should fail, not appear with the wrong number of partitions.
            "auto.create.topics.enable": "false",
            "group.initial.rebalance.delay.ms": 0,
            "broker.session.timeout.ms": _BROKER_SESSION_MS,
            # Handing partitions over needs a majority of controllers, which end at the same moment: it would wait
            # for minutes. Logs are closed properly either way.
            "controlled.shutdown.enable": "false",
        }

    @property
    def min_in_sync(self) -> int:
        """How many replicas must have a record before it counts as written."""
        return MIN_IN_SYNC if self.replicas == REPLICAS else 1

    def _refuse_another_size(self) -> None:
        there = len(list(self._data_dir.glob("broker-*")))
        if there not in {0, self.replicas}:
            raise FatalError(
                f"{self._data_dir} holds the topics of {there} brokers; start it with --brokers {there}, or empty it "
                "with --fresh."
            )


class KafkaBroker:
    """One broker of a cluster.

    Args:
        cluster: What it belongs to.
        number: From 1.
        log_dir: Where its log goes.
        data_dir: Folder of the cluster.
    """

    def __init__(self, cluster: KafkaCluster, number: int, log_dir: Path, data_dir: Path) -> None:
        self.number = number
        self.name = "kafka" if number == 1 else f"kafka-{number}"
        self.child: Child | None = None
        self._cluster = cluster
        self._log_dir = log_dir
        self._data_dir = data_dir

    def start(self) -> None:
        """Start the broker; started again, it keeps its port.

        Raises:
            FatalError: Java or the jars are missing, or a port is taken.
        """
        java, jars = find_java(), ensure_jars(KAFKA_JARS)
        configuration = self._write_configuration()
        temporary = self._data_dir / "tmp"
        temporary.mkdir(exist_ok=True)
        command = self._command(Jvm(java, jars, temporary), configuration)
        self.child = start_child(self.name, command, self._log_dir)

    def _write_configuration(self) -> Path:
        properties: Mapping[str, object] = self._cluster.properties(self.number)
        self._data_dir.mkdir(parents=True, exist_ok=True)
        path = self._data_dir / f"server-{self.number}.properties"
        path.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
        (self._data_dir / "log4j2.xml").write_text(_LOGGING)
        return path

    def _command(self, jvm: Jvm, configuration: Path) -> list[str]:
        # Two cores are better used by serving than by collecting in parallel.
        options = [
            "-XX:+UseSerialGC",
            *self._cluster.jvm_options,
            f"-Dlog4j2.configurationFile={self._data_dir / 'log4j2.xml'}",
        ]
        serve = jvm.command("kafka.Kafka", HEAP_MB, options, [str(configuration)])
        if (self._data_dir / f"broker-{self.number}" / "meta.properties").exists():
            return serve
        arguments = ["format", "--cluster-id", self._cluster.cluster_id(), "--config", str(configuration)]
        arguments += self._cluster.format_options
        # It runs for a second: compiling for speed would cost more than it brings.
        form = jvm.command("kafka.tools.StorageTool", HEAP_MB, ["-XX:TieredStopAtLevel=1", *options], arguments)
        return ["sh", "-c", f"{shlex.join(form)} && exec {shlex.join(serve)}"]

    def ready(self) -> bool:
        """Ask for the cluster's members: all must be there."""
        try:
            return count_brokers(self._cluster.node(self.number).port) == self._cluster.replicas
        except (OSError, struct.error):
            return False

    def stop(self) -> None:
        """End the broker; its topics stay."""
        if self.child is not None:
            self.child.stop()

    def settings(self) -> dict[str, Any]:
        """Return the addresses of all brokers and what suits them."""
        return {
            "kafka_bootstrap": self._cluster.bootstrap,
            "kafka_session_timeout_ms": SESSION_TIMEOUT_MS,
            "topic_replication": self._cluster.replicas,
        }


def _new_cluster_id() -> str:
    """Return 16 random bytes as Kafka writes them; the tool would take a leading minus for an option."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text


def count_brokers(port: int) -> int:
    """Return how many brokers a broker knows to be serving; one request of Kafka's protocol, without a client.

    Raises:
        OSError: It does not answer.
        struct.error: The answer was cut short.
    """
    client = b"millrace"
    no_topics = struct.pack(">i", 0)
    request = struct.pack(">hhih", _METADATA_API, _METADATA_VERSION, 0, len(client)) + client + no_topics
    with socket.create_connection((LOOPBACK, port), _PROBE_TIMEOUT_S) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        connection.settimeout(_PROBE_TIMEOUT_S)
        # Size, correlation id, number of brokers.
        answer = connection.recv(12, socket.MSG_WAITALL)
    return int(struct.unpack(">iii", answer)[2])
