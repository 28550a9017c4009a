"""Deployment of a published model version: load it beside the others, then switch to it."""

import asyncio

from millrace.model.registry import Version
from millrace.model.triton_admin import ModelServer
from millrace.stores.redis.protocols import ServingStore
from millrace.stores.redis.values import ServingPlan


async def load(version: Version, server: ModelServer, store: ServingStore) -> None:
    """Load a version on the model server and store its card and vectors, without switching users to it.

    Args:
        version: Published version.
        server: Model server; its calls run in a thread. A version that is already loaded is not loaded again.
        store: Redis store that receives the serving card and the item vectors for the workers.

    Raises:
        FatalError: The server rejects the version.
        TransientError: The server or Redis cannot be reached.
    """
    name = version.card.serving.triton_model
    if name not in await asyncio.to_thread(server.loaded):
        await asyncio.to_thread(server.deploy, name, version.network)
    card = version.card.serving.model_dump_json().encode()
    await store.put_model(version.name, card, version.vectors().tobytes())


async def switch(version: str, store: ServingStore) -> ServingPlan:
    """Let a loaded version serve all users; the workers switch to it with their next batch.

    Args:
        version: Name of the version.
        store: Redis store that holds the serving plan.

    Returns:
        The new serving plan.
    """
    return await store.set_plan(version)
