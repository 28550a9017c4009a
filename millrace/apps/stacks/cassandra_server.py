"""Apache Cassandra, one node, as a child process."""

import json
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from millrace.apps.stacks.child import Child, start_child
from millrace.apps.stacks.jars import CASSANDRA_JARS, ensure_jars
from millrace.apps.stacks.java import find_java
from millrace.apps.stacks.jvm import Jvm
from millrace.apps.stacks.ports import LOOPBACK, choose_port

HEAP_MB = 1024
KEYSPACE = "millrace"
# What Cassandra's simplest snitch calls the only data centre it knows.
DATA_CENTRE = "datacenter1"
_PROBE_TIMEOUT_S = 0.5
# CQL's binary protocol, version 4: the request OPTIONS and its answer SUPPORTED.
_OPTIONS_REQUEST = bytes([0x04, 0, 0, 0, 0x05, 0, 0, 0, 0])
_SUPPORTED_OPCODE = 0x06
_COMMIT_LOG = "commitlog"
# The version number with which a segment of the commit log begins; never 0.
_SEGMENT_VERSION_BYTES = 4

# Cassandra reaches into these parts of Java 17 (its own jvm17-server.options opens the same).
_EXPORTS = (
    "java.base/jdk.internal.misc",
    "java.base/java.lang.ref",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.sql/java.sql",
    "jdk.attach/sun.tools.attach",
    "jdk.compiler/com.sun.tools.javac.file",
    "jdk.unsupported/sun.misc",
)
_OPENS = (
    "java.base/java.io",
    "java.base/java.lang",
    "java.base/java.lang.module",
    "java.base/java.lang.reflect",
    "java.base/java.util",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.util.jar",
    "java.base/sun.nio.ch",
    "jdk.compiler/com.sun.tools.javac",
    "jdk.management/com.sun.management.internal",
)

_LOGGING = """<configuration>
  <appender name="console" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%date{ISO8601} %level %msg \\(%logger{0}\\)%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="console"/></root>
</configuration>
"""


class CassandraServer:
    """Cassandra on a loopback port.

    Args:
        log_dir: Where its log goes.
        data_dir: Where it keeps tables; a later server goes on with them.
        port: For clients; 0 takes any free one.
        jvm_options: More options of the JVM.
    """

    name = "cassandra"

    def __init__(self, log_dir: Path, data_dir: Path, port: int = 0, jvm_options: Sequence[str] = ()) -> None:
        self.child: Child | None = None
        self._log_dir = log_dir
        self._data_dir = data_dir
        self._port = port
        self._jvm_options = tuple(jvm_options)
        self._storage_port = 0

    def start(self) -> None:
        """Start the server; started again, it keeps its ports.

        Raises:
            FatalError: Java or the jars are missing, or the port is taken.
        """
        java, jars = find_java(), ensure_jars(CASSANDRA_JARS)
        self._port = choose_port(self._port, "Cassandra")
        self._storage_port = choose_port(self._storage_port, "Cassandra's other nodes")
        temporary = self._data_dir / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        remove_blank_segments(self._data_dir / _COMMIT_LOG)
        # JSON is YAML.
        (self._data_dir / "cassandra.yaml").write_text(json.dumps(self._configuration(), indent=1))
        (self._data_dir / "logback.xml").write_text(_LOGGING)
        command = Jvm(java, jars, temporary).command(
            "org.apache.cassandra.service.CassandraDaemon", HEAP_MB, self._options()
        )
        self.child = start_child(self.name, command, self._log_dir)

    def _configuration(self) -> dict[str, Any]:
        return {
            "cluster_name": "millrace",
            "num_tokens": 1,
            "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
            "endpoint_snitch": "SimpleSnitch",
            "dynamic_snitch": False,
            "seed_provider": [
                {
                    "class_name": "org.apache.cassandra.locator.SimpleSeedProvider",
                    "parameters": [{"seeds": f"{LOOPBACK}:{self._storage_port}"}],
                }
            ],
            "auto_bootstrap": False,
            "listen_address": LOOPBACK,
            "storage_port": self._storage_port,
            "rpc_address": LOOPBACK,
            "native_transport_port": self._port,
            "data_file_directories": [str(self._data_dir / "data")],
            "commitlog_directory": str(self._data_dir / _COMMIT_LOG),
            "saved_caches_directory": str(self._data_dir / "saved_caches"),
            "hints_directory": str(self._data_dir / "hints"),
            # Nothing is acknowledged before it is on disk: there is no other node to have it.
            "commitlog_sync": "batch",
            # A quarter of the disk otherwise.
            "commitlog_total_space": "256MiB",
            "file_cache_size": "64MiB",
            # A truncated or dropped table is gone at once.
            "auto_snapshot": False,
            # Two seconds are short beside a training on the same two cores.
            "write_request_timeout": "5s",
            # A node that cannot write is to end, so that it is started again, and not to stay and refuse.
            "disk_failure_policy": "die",
            "commit_failure_policy": "die",
        }

    def _options(self) -> list[str]:
        properties = {
            "cassandra.config": (self._data_dir / "cassandra.yaml").as_uri(),
            "cassandra.storagedir": str(self._data_dir),
            "logback.configurationFile": str(self._data_dir / "logback.xml"),
            "cassandra-foreground": "yes",
            # There is no other node to wait for.
            "cassandra.skip_wait_for_gossip_to_settle": "0",
            "cassandra.superuser_setup_delay_ms": "0",
            "cassandra.ring_delay_ms": "1",
            "cassandra.shutdown_announce_in_ms": "0",
            "jdk.attach.allowAttachSelf": "true",
            "io.netty.tryReflectionSetAccessible": "true",
        }
        return [
            "-XX:+UseG1GC",
            "-XX:MaxDirectMemorySize=256m",
            *self._jvm_options,
            *(f"--add-exports={each}=ALL-UNNAMED" for each in _EXPORTS),
            *(f"--add-opens={each}=ALL-UNNAMED" for each in _OPENS),
            *(f"-D{name}={value}" for name, value in properties.items()),
        ]

    def ready(self) -> bool:
        """Ask what it supports: it answers once it serves clients."""
        try:
            with socket.create_connection((LOOPBACK, self._port), _PROBE_TIMEOUT_S) as connection:
                connection.settimeout(_PROBE_TIMEOUT_S)
                connection.sendall(_OPTIONS_REQUEST)
                header = connection.recv(len(_OPTIONS_REQUEST), socket.MSG_WAITALL)
        except OSError:
            return False
        return len(header) == len(_OPTIONS_REQUEST) and header[4] == _SUPPORTED_OPCODE

    def stop(self) -> None:
        """End the server; its tables stay."""
        if self.child is not None:
            self.child.stop()

    def settings(self) -> dict[str, Any]:
        """Return the event log's address."""
        return {"event_log": f"cassandra://{LOOPBACK}:{self._port}/{KEYSPACE}?dc={DATA_CENTRE}"}


def remove_blank_segments(commit_log: Path) -> list[str]:
    """Remove segments of Cassandra's commit log that have no header, and return their names.

    A segment's header is on disk before anything is written behind it, so one without holds nothing. A start on a full
    disk leaves such a segment, and Cassandra refuses every later start once there is another one behind it.
    """
    blank = [segment for segment in sorted(commit_log.glob("CommitLog-*.log")) if not any(_beginning(segment))]
    for segment in blank:
        segment.unlink()
    return [segment.name for segment in blank]


def _beginning(segment: Path) -> bytes:
    with segment.open("rb") as file:
        return file.read(_SEGMENT_VERSION_BYTES)
