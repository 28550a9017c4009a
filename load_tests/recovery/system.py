"""The system under test: real servers and all roles, supervised as by `millrace up`."""

import logging
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from millrace.apps.stacks.child import Child
from millrace.apps.stacks.kafka_server import KafkaCluster
from millrace.apps.stacks.local import DATA_DIR, LocalStack
from millrace.apps.stacks.ports import LOOPBACK, choose_port
from millrace.apps.stacks.roles import Roles, default_roles
from millrace.apps.stacks.service import Service
from millrace.load_tests.recovery.proxy import Proxies
from millrace.model.configuration import ModelConfiguration, write_configuration

BROKERS = 3
WORKERS = ("worker", "worker-2")
# A JVM that runs for minutes loses more time to the optimising compiler than it gains.
JVM_OPTIONS = ("-XX:TieredStopAtLevel=1",)
# Enough for Cassandra's commit log (256 MiB at most) and its tables, small enough to fill within seconds.
LOG_DISK_MIB = 640
# Four Java servers start at once, on a machine that may be busy.
READY_DEADLINE_S = 300.0
_LISTENER = "PROXIED"
_SUPERVISE_S = 1.0
# Trials test that training survives faults, not what it learns.
_QUICK_TRAINING: Mapping[str, Any] = {
    "network.width": 16,
    "network.blocks": 1,
    "network.ranker_units": (16, 8),
    "encoder.epochs": 1,
    "encoder.refresh_epochs": 1,
}

logger = logging.getLogger(__name__)


class ProxiedKafka(KafkaCluster):
    """Brokers with a second listener, which it advertises at the address of a proxy.

    Replication and the load use the first listener, so a proxy cuts connections of roles only.
    """

    proxies: Proxies

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.proxied_ports = {
            broker.number: choose_port(0, f"{broker.name} behind its proxy") for broker in self.brokers
        }

    def properties(self, number: int) -> dict[str, object]:
        """Return the configuration of a broker, with the listener added."""
        properties = super().properties(number)
        front = self.proxies[f"kafka-{number}"].port
        for name, more in {
            "listeners": f"{_LISTENER}://{LOOPBACK}:{self.proxied_ports[number]}",
            "advertised.listeners": f"{_LISTENER}://{LOOPBACK}:{front}",
            "listener.security.protocol.map": f"{_LISTENER}:PLAINTEXT",
        }.items():
            properties[name] = f"{properties[name]},{more}"
        return properties


class FaultStack(LocalStack):
    """A local stack with three brokers, a small disk for the event log, and proxies in front of its servers.

    Args:
        home: Folder for logs and data; emptied.
        overrides: Settings fields to give every role.
    """

    kafka_type = ProxiedKafka
    ready_deadline_s = READY_DEADLINE_S

    def __init__(self, home: Path, overrides: Mapping[str, Any] | None = None) -> None:
        super().__init__(home, brokers=BROKERS, fresh=True, overrides=overrides, jvm_options=JVM_OPTIONS)
        brokers = [f"kafka-{broker.number}" for broker in self.kafka.brokers]
        self.proxies = Proxies([*brokers, "redis", "cassandra", "triton"])
        if isinstance(self.kafka, ProxiedKafka):
            self.kafka.proxies = self.proxies
        self.log_disk = home.absolute() / DATA_DIR / "cassandra"
        self.log_disk_is_small = False

    def prepare(self) -> None:
        """Empty the folder and mount a small disk for the event log, if this process may."""
        _unmount(self.log_disk)
        super().prepare()
        self.log_disk.mkdir(parents=True, exist_ok=True)
        self.log_disk_is_small = _mount(self.log_disk)

    def stop(self) -> None:
        """End everything."""
        super().stop()
        self.proxies.close()
        _unmount(self.log_disk)

    def role_environment(self) -> dict[str, str]:
        """Return environment variables that point a role at the proxies."""
        settings = self.settings
        event_log = urlsplit(settings.event_log_url)
        ports = {"redis": urlsplit(settings.redis_url).port, "cassandra": event_log.port}
        ports["triton"] = int(settings.triton_url.rpartition(":")[2])
        if isinstance(self.kafka, ProxiedKafka):
            ports |= {f"kafka-{number}": port for number, port in self.kafka.proxied_ports.items()}
        self.proxies.serve({name: port for name, port in ports.items() if port is not None})
        brokers = (self.proxies[f"kafka-{broker.number}"].port for broker in self.kafka.brokers)
        return {
            "MILLRACE_KAFKA_BOOTSTRAP": ",".join(f"{LOOPBACK}:{port}" for port in brokers),
            "MILLRACE_REDIS_URL": f"redis://{LOOPBACK}:{self.proxies['redis'].port}/0",
            "MILLRACE_TRITON_URL": f"{LOOPBACK}:{self.proxies['triton'].port}",
            "MILLRACE_EVENT_LOG": event_log._replace(netloc=f"{LOOPBACK}:{self.proxies['cassandra'].port}").geturl(),
        }

    @property
    def services(self) -> dict[str, Service]:
        """The servers by name."""
        return {service.name: service for service in self._services}


class SystemUnderTest:
    """Servers, proxies and supervised roles; a context manager.

    Args:
        home: Folder for logs and data; emptied.
    """

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        # Outside the stack's folder, which a start empties.
        configuration = home / "quick-training.toml"
        write_configuration(configuration, ModelConfiguration().with_changes(dict(_QUICK_TRAINING)))
        self.home = home
        # Every event must get its list, however long a fault lasts.
        settings = {"model_configuration": configuration.absolute(), "backlog_events": 0}
        self.stack = FaultStack(home / "stack", settings)
        self.restarts: list[str] = []
        self._roles: Roles | None = None
        self._environment: dict[str, str] = {}
        self._ended = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._supervise, name="recovery-supervisor", daemon=True)

    def __enter__(self) -> Self:
        """Start servers, proxies, roles and supervision."""
        self.stack.start()
        self._environment = self.stack.role_environment()
        return self

    def start_roles(self) -> None:
        """Start all roles, including two workers, and the supervision that restarts what ends."""
        commands = default_roles(retrain_every_events=None)
        commands = {WORKERS[0]: commands["worker"], WORKERS[1]: commands["worker"], **commands}
        self._roles = Roles(self, commands)
        self._roles.start()
        self._thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        self.stack.stop()

    def spawn(self, role: str, argv: Sequence[str], env: Mapping[str, str] | None = None) -> Child:
        """Start a role that reaches its servers through the proxies; a worker keeps its group member name."""
        member = {"MILLRACE_KAFKA_GROUP_MEMBER": f"recovery-{role}"} if role in WORKERS else {}
        return self.stack.spawn(role, argv, {**self._environment, **member, **(env or {})})

    def child(self, name: str) -> Child:
        """Return the running process of a role or server."""
        roles = self._roles.children if self._roles is not None else {}
        if name in roles:
            return roles[name]
        child = self.stack.services[name].child
        if child is None:
            raise LookupError(f"{name} has no process.")
        return child

    @property
    def roles(self) -> Mapping[str, Child]:
        """The processes of the roles by name."""
        return self._roles.children if self._roles is not None else {}

    def absent(self) -> list[str]:
        """Return the servers that do not answer and the roles that do not run.

        Raises:
            Exception: The error that stopped supervision.
        """
        if self._failure is not None:
            raise self._failure
        roles = [name for name, child in self.roles.items() if not child.alive]
        return roles + [name for name, service in self.stack.services.items() if not service.ready()]

    def _supervise(self) -> None:
        while not self._ended.wait(_SUPERVISE_S):
            try:
                sentences = [*self.stack.supervise(), *(self._roles.supervise() if self._roles else [])]
            except Exception as error:
                self._failure = error
                return
            self.restarts += sentences


def _mount(folder: Path) -> bool:
    """Mount a small in-memory file system at a folder; returns whether this process may."""
    mount = shutil.which("mount")
    if mount is None:
        return False
    options = [mount, "-t", "tmpfs", "-o", f"size={LOG_DISK_MIB}m", "millrace-recovery", str(folder)]
    return subprocess.run(options, capture_output=True, check=False).returncode == 0  # noqa: S603 - own arguments


def _unmount(folder: Path) -> None:
    umount = shutil.which("umount")
    if umount is not None and folder.is_mount():
        subprocess.run([umount, "--lazy", str(folder)], capture_output=True, check=False)  # noqa: S603 - own arguments
