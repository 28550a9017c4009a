"""Loopback ports."""

import socket
from dataclasses import dataclass

from millrace.errors import FatalError

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports a person may fix; 0 takes any free one.

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
    """Return the wanted port, or any free one for 0.

    Raises:
        FatalError: Another program listens on the wanted port.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port whose last connections are still fading counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, wanted))
        except OSError as error:
            raise FatalError(
                f"Port {wanted}, asked for {owner}, cannot be used ({error.strerror}); "
                f"stop the program that has it or choose another port."
            ) from None
        return int(probe.getsockname()[1])
