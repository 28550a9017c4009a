"""TCP proxies that roles reach their servers through, and that cut connections in the middle of a message."""

import asyncio
import itertools
import socket
import struct
import threading
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from millrace.apps.stacks.ports import LOOPBACK

_CHUNK_BYTES = 65_536
# Time for half a message to reach its reader before the connection closes.
_BREATH_S = 0.01
_START_DEADLINE_S = 10.0
_TURNS_TO_CLOSE = 3
REQUEST, ANSWER = "request", "answer"


@dataclass(eq=False, slots=True)
class _Link:
    """One connection: which way its next message is cut, None to let it pass."""

    cut: str | None = None


class CuttingProxy:
    """Forwards one port to another, and cuts connections between `start_cutting` and `stop_cutting`.

    Args:
        loop: The event loop that all proxies run in.
        port: Where to listen; 0 takes any free one.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, port: int = 0) -> None:
        self._loop = loop
        self._listener = socket.create_server((LOOPBACK, port))
        self.port: int = self._listener.getsockname()[1]
        self.cuts = 0
        self._target = 0
        self._links: set[_Link] = set()
        self._directions = itertools.cycle((REQUEST, ANSWER))
        self._cutting = False
        self._made = 0
        self._server: asyncio.Server | None = None

    async def serve(self, target: int) -> None:
        """Forward to a port on loopback from now on."""
        self._target = target
        self._server = await asyncio.start_server(self._forward, sock=self._listener)

    def start_cutting(self) -> None:
        """Cut each open connection in the middle of its next message, and every other one that is made from now on.

        Requests and answers take turns. An idle connection is cut at its next message.
        """

        async def arm() -> None:
            self._cutting = True
            for link in self._links:
                link.cut = next(self._directions)

        asyncio.run_coroutine_threadsafe(arm(), self._loop).result()

    def stop_cutting(self) -> None:
        """Leave new connections alone."""
        self._cutting = False

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
        else:
            self._listener.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection(LOOPBACK, self._target)
        except OSError:
            # As the absent server would: refused.
            _reset(writer)
            return
        self._made += 1
        link = _Link(next(self._directions) if self._cutting and self._made % 2 else None)
        self._links.add(link)
        directions = {
            asyncio.create_task(self._pump(reader, server_writer, link, REQUEST)),
            asyncio.create_task(self._pump(server_reader, writer, link, ANSWER)),
        }
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._links.discard(link)
            for task in directions:
                task.cancel()
            await asyncio.gather(*directions, return_exceptions=True)
            for end in (writer, server_writer):
                _reset(end) if link.cut else end.close()

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, link: _Link, direction: str
    ) -> None:
        with suppress(OSError):
            while data := await source.read(_CHUNK_BYTES):
                if link.cut == direction:
                    sink.write(data[: len(data) // 2])
                    await sink.drain()
                    await asyncio.sleep(_BREATH_S)
                    self.cuts += 1
                    return
                sink.write(data)
                await sink.drain()


class Proxies:
    """Proxies by name, in a thread of their own.

    Args:
        names: One proxy for each.
    """

    def __init__(self, names: list[str]) -> None:
        self._loop = asyncio.new_event_loop()
        self._by_name = {name: CuttingProxy(self._loop) for name in names}
        self._thread = threading.Thread(target=self._loop.run_forever, name="recovery-proxies", daemon=True)
        self._thread.start()

    def __getitem__(self, name: str) -> CuttingProxy:
        return self._by_name[name]

    def serve(self, targets: Mapping[str, int]) -> None:
        """Forward each to its port."""
        for name, target in targets.items():
            self._run(self._by_name[name].serve(target))

    def close(self) -> None:
        """End all connections and the thread."""
        if self._loop.is_closed():
            return
        for proxy in self._by_name.values():
            self._run(proxy.close())
        self._run(_cancel_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_START_DEADLINE_S)


async def _cancel_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    # Closing a connection takes the loop two more turns.
    for _ in range(_TURNS_TO_CLOSE):
        await asyncio.sleep(0)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Reset a connection without an orderly close."""
    connection = writer.get_extra_info("socket")
    with suppress(OSError):
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
