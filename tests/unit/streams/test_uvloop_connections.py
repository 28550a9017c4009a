"""A connection that uvloop has lost is a lost connection to the clients on it, not a defect."""

import asyncio
from typing import Any

import pytest
import uvloop
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError

from millrace.stores.redis.uvloop_connections import is_lost_connection, teach_aiokafka


async def closed_writer() -> Any:
    """Return a writer whose connection uvloop has closed behind its back."""

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.transport.abort()
    await asyncio.sleep(0)
    server.close()
    return writer


async def write_to_a_lost_connection() -> BaseException | None:
    writer = await closed_writer()
    try:
        writer.write(b"too late")
    except RuntimeError as error:
        return error
    return None


def test_uvloop_raises_an_error_of_its_own() -> None:
    """If it does not any more, nobody has to be taught."""
    assert is_lost_connection(uvloop.run(write_to_a_lost_connection()))
    assert not is_lost_connection(RuntimeError("something else"))
    assert not is_lost_connection(OSError("the handler is closed"))


def test_aiokafka_learns_that_its_connection_is_gone() -> None:
    async def send() -> bool:
        connection = AIOKafkaConnection("127.0.0.1", 1)
        connection._writer = await closed_writer()
        connection._reader, connection._read_task = asyncio.StreamReader(), asyncio.ensure_future(asyncio.sleep(0))
        with pytest.raises(KafkaConnectionError, match="the handler is closed"):
            connection._send_sasl_token(b"too late")
        return bool(connection.connected())

    teach_aiokafka()
    once = AIOKafkaConnection.send
    teach_aiokafka()
    assert AIOKafkaConnection.send is once
    assert not uvloop.run(send())
