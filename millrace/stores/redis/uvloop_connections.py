"""Connections that uvloop has lost: it raises a RuntimeError of its own where asyncio's loop lets a write pass.

Clients that know of OSError alone take it for a defect: aiokafka's producer would end its sender for good, and a
batch be taken for poison. It happens when a connection breaks between a client's look at it and its write.
"""

from typing import Any, TypeGuard

_HANDLE_CLOSED = "the handler is closed"


def is_lost_connection(error: BaseException | None) -> TypeGuard[RuntimeError]:
    """Tell whether an error is uvloop's word for a connection that is gone."""
    return isinstance(error, RuntimeError) and _HANDLE_CLOSED in str(error)


def teach_aiokafka() -> None:
    """Let every connection of aiokafka report a lost connection as one; calling it again changes nothing."""
    from aiokafka.conn import AIOKafkaConnection

    if not getattr(AIOKafkaConnection.send, "_knows_uvloop", False):
        AIOKafkaConnection.send = _knowing_uvloop(AIOKafkaConnection.send)
        AIOKafkaConnection._send_sasl_token = _knowing_uvloop(AIOKafkaConnection._send_sasl_token)


def _knowing_uvloop(send: Any) -> Any:
    from aiokafka.conn import CloseReason
    from aiokafka.errors import KafkaConnectionError

    def knowing(self: Any, *arguments: Any, **options: Any) -> Any:
        try:
            return send(self, *arguments, **options)
        except RuntimeError as error:
            if not is_lost_connection(error):
                raise
            self.close(reason=CloseReason.CONNECTION_BROKEN)
            raise KafkaConnectionError(f"Connection at {self.host}:{self.port} broken: {error}") from error

    knowing._knows_uvloop = True  # type: ignore[attr-defined]
    return knowing
