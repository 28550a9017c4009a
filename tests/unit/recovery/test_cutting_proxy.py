"""The proxy lets everything through until it is told to cut, and then cuts in the middle of a message."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from millrace.load_tests.recovery.proxy import Proxies

MESSAGE = b"twelve bytes"


@pytest.fixture
def echo() -> Iterator[tuple[int, list[bytes]]]:
    """Return the port of a server that returns what it gets, and what it got."""
    listener = socket.create_server(("127.0.0.1", 0))
    got: list[bytes] = []

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                with closing(client), suppress(OSError):
                    while data := client.recv(100):
                        got.append(data)
                        client.sendall(data)

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1], got
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


@pytest.fixture
def proxies() -> Iterator[Proxies]:
    proxies = Proxies(["echo"])
    yield proxies
    proxies.close()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def ask(connection: socket.socket) -> bytes:
    """Send the message and return what comes back until the connection is gone or all is there."""
    answer = b""
    with suppress(ConnectionError):
        connection.sendall(MESSAGE)
        while len(answer) < len(MESSAGE) and (data := connection.recv(100)):
            answer += data
    return answer


def test_requests_and_answers_are_cut_in_the_middle(proxies: Proxies, echo: tuple[int, list[bytes]]) -> None:
    port, got = echo
    proxies.serve({"echo": port})
    proxy = proxies["echo"]
    for _ in range(2):
        with closing(connect(proxy.port)) as connection:
            assert ask(connection) == MESSAGE
            proxy.start_cutting()
            proxy.stop_cutting()
            assert len(ask(connection)) <= len(MESSAGE) // 2
        with closing(connect(proxy.port)) as again:
            assert ask(again) == MESSAGE
    assert proxy.cuts == 2
    # One request arrived by half; the other one whole, and its answer did not.
    assert sorted(map(len, got)) == [6, 12, 12, 12, 12, 12]


def test_an_absent_server_refuses(proxies: Proxies) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as unused:
        port = unused.getsockname()[1]
    proxies.serve({"echo": port})
    # Accepted, and gone at once: whoever connects may hear of it before or after.
    try:
        with closing(connect(proxies["echo"].port)) as connection:
            answer = ask(connection)
    except ConnectionResetError:
        answer = b""
    assert answer == b""


def test_closing_ends_connections_that_are_open(proxies: Proxies, echo: tuple[int, list[bytes]]) -> None:
    port, _ = echo
    proxies.serve({"echo": port})
    with closing(connect(proxies["echo"].port)) as connection:
        assert ask(connection) == MESSAGE
        proxies.close()
        assert ask(connection) == b""
