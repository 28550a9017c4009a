"""A TCP proxy that breaks connections at a chosen moment: after a request was delivered, or in the middle of it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_CHUNK_BYTES = 65_536


class BreakingProxy:
    """Forwards to a server on loopback, on threads of its own, and breaks connections as told.

    Args:
        target: Port of the server.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.broken = 0
        self._answers_to_drop = 0
        self._trigger = b""
        self._request_bytes: int | None = None
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def drop_answers(self, times: int, to: bytes) -> None:
        """Break the connection instead of returning the answer to a request that contains `to`, so many times."""
        self._answers_to_drop, self._trigger = times, to

    def cut_requests(self, after_bytes: int | None) -> None:
        """Break every connection once it has sent so many bytes; None to let all through again."""
        self._request_bytes = after_bytes

    def close(self) -> None:
        """End every connection and thread."""
        for each in (self._listener, *self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in (self._listener, *self._sockets):
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [client, server]
                armed = threading.Event()
                for work in (self._requests, self._answers):
                    self._threads.append(threading.Thread(target=work, args=(client, server, armed)))
                    self._threads[-1].start()

    def _requests(self, client: socket.socket, server: socket.socket, armed: threading.Event) -> None:
        sent = 0
        with suppress(OSError):
            while data := client.recv(_CHUNK_BYTES):
                if self._request_bytes is not None and sent + len(data) > self._request_bytes:
                    self.broken += 1
                    break
                sent += len(data)
                if self._answers_to_drop and self._trigger in data:
                    armed.set()
                server.sendall(data)
        _shut(client, server)

    def _answers(self, client: socket.socket, server: socket.socket, armed: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(_CHUNK_BYTES):
                if armed.is_set():
                    self._answers_to_drop -= 1
                    self.broken += 1
                    break
                client.sendall(data)
        _shut(client, server)


def _shut(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextmanager
def breaking_proxy(port: int) -> Iterator[BreakingProxy]:
    """Run a proxy in front of a port."""
    proxy = BreakingProxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
