"""A Redis Cluster of six nodes on this machine: three primaries, each with a replica."""

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from millrace.apps.stacks.ports import LAST_FREE_PORT, LOOPBACK, choose_port
from millrace.apps.stacks.redis_server import RedisServer
from millrace.kernel.errors import FatalError

PRIMARIES = 3
NODES = 2 * PRIMARIES
SLOTS = 16_384
# A node that is silent for so long is replaced by its replica.
NODE_TIMEOUT_MS = 2000
# Nodes talk to each other on the port this far above the one for clients.
_BUS = 10_000
_FORM_DEADLINE_S = 30.0
_POLL_S = 0.05
_PORT_ATTEMPTS = 200


class RedisNode(RedisServer):
    """One node of a cluster; a `Service` like a single server.

    Args:
        number: From 1.
        log_dir: Where its log goes.
        data_dir: Where it may write.
        cluster_url: Returns the address of the whole cluster.
    """

    def __init__(self, number: int, log_dir: Path, data_dir: Path, cluster_url: Callable[[], str]) -> None:
        super().__init__(log_dir, data_dir, append_only=True)
        self.name = "redis" if number == 1 else f"redis-{number}"
        self._cluster_url = cluster_url

    def take(self, port: int) -> None:
        """Use this port from now on."""
        self._port = port

    @property
    def port(self) -> int:
        """Where clients connect."""
        return self._port

    def settings(self) -> dict[str, Any]:
        """Return the address of the whole cluster."""
        return {"redis_url": self._cluster_url()}

    def _options(self) -> list[str]:
        cluster = {
            "cluster-enabled": "yes",
            "cluster-config-file": "nodes.conf",
            "cluster-node-timeout": str(NODE_TIMEOUT_MS),
        }
        return [*super()._options(), *(part for name, value in cluster.items() for part in (f"--{name}", value))]


class RedisCluster:
    """Six nodes, and the steps that make a cluster of them.

    Args:
        log_dir: Where their logs go.
        data_dir: Where they keep their data; also their ports, since nodes find each other by address.
    """

    def __init__(self, log_dir: Path, data_dir: Path) -> None:
        self._data_dir = data_dir
        self.nodes = [
            RedisNode(number, log_dir, data_dir / f"node-{number}", lambda: self.url) for number in range(1, NODES + 1)
        ]

    @property
    def url(self) -> str:
        """The address of all nodes, so that clients find the others whichever is away."""
        return "redis+cluster://" + ",".join(f"{LOOPBACK}:{node.port}" for node in self.nodes)

    def prepare(self) -> None:
        """Give each node its port: the one it had, or a free one.

        Raises:
            FatalError: No free ports are found.
        """
        path = self._data_dir / "ports.json"
        if path.exists():
            ports = json.loads(path.read_text())
        else:
            ports = _free_ports(NODES)
            self._data_dir.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(ports))
        for node, port in zip(self.nodes, ports, strict=True):
            node.take(port)

    def form(self) -> None:
        """Join the running nodes into a cluster, unless they are one, and wait until it serves all slots.

        Raises:
            FatalError: They do not come together in time.
        """
        import redis

        clients = [redis.Redis(LOOPBACK, node.port) for node in self.nodes]
        try:
            if _known_nodes(clients[0]) < NODES:
                self._join(clients)
            _await(lambda: all(map(_serves, clients)), "serve all slots")
        finally:
            for client in clients:
                client.close()

    def _join(self, clients: list[Any]) -> None:
        for number, client in enumerate(clients, start=1):
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number)
        for number, client in enumerate(clients[:PRIMARIES]):
            first, last = SLOTS * number // PRIMARIES, SLOTS * (number + 1) // PRIMARIES
            client.execute_command("CLUSTER", "ADDSLOTS", *range(first, last))
        for node in self.nodes[1:]:
            clients[0].execute_command("CLUSTER", "MEET", LOOPBACK, node.port)
        _await(lambda: all(_known_nodes(client) == NODES for client in clients), "know each other")
        for primary, replica in zip(clients[:PRIMARIES], clients[PRIMARIES:], strict=True):
            replica.execute_command("CLUSTER", "REPLICATE", primary.execute_command("CLUSTER", "MYID"))


def _cluster_info(client: Any) -> dict[str, str]:
    text: bytes = client.execute_command("CLUSTER", "INFO")
    return dict(line.split(":", 1) for line in text.decode().split())


def _known_nodes(client: Any) -> int:
    return int(_cluster_info(client)["cluster_known_nodes"])


def _serves(client: Any) -> bool:
    """Return whether a node sees all slots with a primary and a replica each, and is itself up to date."""
    if _cluster_info(client)["cluster_state"] != "ok":
        return False
    # First slot, last slot, primary, replicas.
    ranges = client.execute_command("CLUSTER", "SLOTS")
    covered = sum(last - first + 1 for first, last, *_ in ranges)
    replicated = all(len(replicas) > 0 for _, _, _, *replicas in ranges)
    replication = client.info("replication")
    linked = replication["role"] == "master" or replication["master_link_status"] == "up"
    return covered == SLOTS and replicated and linked


def _await(condition: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + _FORM_DEADLINE_S
    while not condition():
        if time.monotonic() > deadline_s:
            raise FatalError(
                f"The Redis nodes do not {what} within {_FORM_DEADLINE_S:.0f} s; see their logs, or start with --fresh."
            )
        time.sleep(_POLL_S)


def _free_ports(count: int) -> list[int]:
    """Return ports that are free together with those for the nodes' own talk.

    Raises:
        FatalError: There are too few.
    """
    found: list[int] = []
    for _ in range(_PORT_ATTEMPTS):
        port = choose_port(0, "Redis")
        if port + _BUS <= LAST_FREE_PORT and _free(port + _BUS):
            found.append(port)
        if len(found) == count:
            return found
    raise FatalError("No six pairs of free ports were found for the Redis nodes; stop programs that use many.")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True
