"""From a published version to one that serves: load it beside the others, then switch."""

import asyncio

from millrace.model.registry import Version
from millrace.model.triton_admin import ModelServer
from millrace.stores.redis.protocols import ServingStore
from millrace.stores.redis.values import ServingPlan


async def load(version: Version, server: ModelServer, store: ServingStore) -> None:
    """Make a version ready to serve; who is served by what does not change.

    Args:
        version: As published.
        server: Loads and warms it up, in a thread; a version that is there already is left alone.
        store: Gets the card and the vectors that workers need.

    Raises:
        FatalError: The server refuses the version.
        TransientError: The server or Redis is away.
    """
    name = version.card.serving.triton_model
    if name not in await asyncio.to_thread(server.loaded):
        await asyncio.to_thread(server.deploy, name, version.network)
    card = version.card.serving.model_dump_json().encode()
    await store.put_model(version.name, card, version.vectors().tobytes())


async def switch(version: str, store: ServingStore) -> ServingPlan:
    """Let a loaded version serve every user; workers follow within a batch."""
    return await store.set_plan(version)
