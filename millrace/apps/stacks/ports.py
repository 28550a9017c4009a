"""Loopback ports."""

import secrets
import socket
from dataclasses import dataclass

from millrace.kernel.errors import FatalError

LOOPBACK = "127.0.0.1"
# Below Linux's range of ephemeral ports: an outgoing connection could take one of those while a server is starting.
FIRST_FREE_PORT, LAST_FREE_PORT = 15_000, 32_767
_ATTEMPTS = 200

_given: set[int] = set()


@dataclass(frozen=True, slots=True)
class FixedPorts:
    """Ports chosen by the user; 0 takes any free one.

    Args:
        redis: Redis.
        triton_grpc: Triton's gRPC.
        triton_http: Triton's HTTP.
        triton_metrics: Triton's Prometheus page.
        kafka: The first broker of the local stack.
        cassandra: Cassandra's clients, on the local stack.
    """

    redis: int = 0
    triton_grpc: int = 0
    triton_http: int = 0
    triton_metrics: int = 0
    kafka: int = 0
    cassandra: int = 0


def choose_port(wanted: int, owner: str) -> int:
    """Return the wanted port, or for 0 a free one that has not been given out before.

    Raises:
        FatalError: Another program listens on the wanted port, or no free port was found.
    """
    if wanted == 0:
        return _any_free_port(owner)
    error = _bind_error(wanted)
    if error is not None:
        raise FatalError(
            f"Port {wanted}, asked for {owner}, cannot be used ({error.strerror}); "
            f"stop the program that has it or choose another port."
        )
    return wanted


def _any_free_port(owner: str) -> int:
    for _ in range(_ATTEMPTS):
        port = FIRST_FREE_PORT + secrets.randbelow(LAST_FREE_PORT - FIRST_FREE_PORT + 1)
        if port not in _given and _bind_error(port) is None:
            _given.add(port)
            return port
    raise FatalError(f"No free port was found for {owner}; stop programs that use many.")


def _bind_error(port: int) -> OSError | None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Servers set it too: a port with connections in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            return error
    return None
