"""The scoring client for Triton."""

import asyncio
import dataclasses
from typing import Any

import tritonclient.grpc.aio as triton
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from millrace.kernel.errors import TransientError
from millrace.streams.scoring.scorer import ScoreRequest, ScoreResponse

INPUTS = tuple(field.name for field in dataclasses.fields(ScoreRequest))
OUTPUTS = tuple(field.name for field in dataclasses.fields(ScoreResponse))
# Requests in flight per client; more only queue inside the server, where no deadline of ours reaches them.
MAX_CONCURRENT = 4
# gRPC would wait ever longer, up to minutes, before it looks again for a server that went away.
CHANNEL = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # The batch size bounds a message, and tritonclient's own options, which these replace, lift the limits as well.
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
]


class TritonScorer:
    """Scores micro-batches on Triton through one long-lived connection.

    Args:
        url: Triton's gRPC address, `host:port`.
        max_concurrent: Most requests in flight.
    """

    def __init__(self, url: str, max_concurrent: int = MAX_CONCURRENT) -> None:
        self._url = url
        self._slots = asyncio.Semaphore(max_concurrent)
        self._client: triton.InferenceServerClient | None = None
        # Without naming them Triton would send all as well, but a name it lacks is refused by name.
        self._outputs = [triton.InferRequestedOutput(name) for name in OUTPUTS]

    async def score(self, version: str, request: ScoreRequest, timeout_s: float) -> ScoreResponse:
        """Score one batch; `version` is the name of the Triton model.

        Raises:
            TransientError: No answer in time, the server is away, or it does not have the version.
        """
        try:
            async with asyncio.timeout(timeout_s), self._slots:
                result = await self._connection().infer(
                    version, _inputs(request), outputs=self._outputs, client_timeout=timeout_s
                )
        except (InferenceServerException, OSError) as error:
            raise TransientError(f"Triton at {self._url} did not score with {version}: {_reason(error)}.") from error
        except TimeoutError:
            raise TransientError(f"Triton at {self._url} gave no answer from {version} in {timeout_s:g} s.") from None
        return _response(result, version)

    def _connection(self) -> triton.InferenceServerClient:
        # Made here and not in the constructor: a gRPC channel belongs to the loop it is made in.
        if self._client is None:
            self._client = triton.InferenceServerClient(self._url, channel_args=CHANNEL)
        return self._client

    async def close(self) -> None:
        """Close the connection."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()


def _inputs(request: ScoreRequest) -> list[Any]:
    inputs = []
    for name in INPUTS:
        tensor = getattr(request, name)
        entry = triton.InferInput(name, tensor.shape, np_to_triton_dtype(tensor.dtype))
        entry.set_data_from_numpy(tensor)
        inputs.append(entry)
    return inputs


def _response(result: Any, version: str) -> ScoreResponse:
    tensors = {name: result.as_numpy(name) for name in OUTPUTS}
    missing = [name for name, tensor in tensors.items() if tensor is None]
    if missing:
        raise TransientError(f"The model {version} returned no {', '.join(missing)}.")
    return ScoreResponse(**tensors)


def _reason(error: Exception) -> str:
    """Return the server's words in one line."""
    text = error.message() if isinstance(error, InferenceServerException) else str(error)
    return " ".join(str(text).split()).rstrip(".")
