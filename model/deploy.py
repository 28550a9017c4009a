"""From a published version to one that serves: load it beside the others, switch, unload what nobody needs."""

from model.registry import Registry, Version, triton_model_name
from model.triton_admin import ModelServer
from streams.store.protocols import ServingPlan, ServingStore


async def load(version: Version, server: ModelServer, store: ServingStore) -> None:
    """Make a version ready to serve; who is served by what does not change.

    Args:
        version: As published.
        server: Loads and warms it up; a version that is there already is left alone.
        store: Gets the card and the vectors that workers need.

    Raises:
        FatalError: The server refuses the version.
        TransientError: The server or Redis is away.
    """
    name = version.card.serving.triton_model
    if name not in server.loaded():
        server.deploy(name, version.network)
    card = version.card.serving.model_dump_json().encode()
    await store.put_model(version.name, card, version.vectors().tobytes())


async def switch(version: str, store: ServingStore) -> ServingPlan:
    """Let a loaded version serve every user; workers follow within a batch."""
    return await store.set_plan(version)


async def unload_unneeded(registry: Registry, server: ModelServer, store: ServingStore) -> list[str]:
    """Unload the versions that are not in the plan, but keep the champion's predecessor for an instant way back.

    Call it a grace period after a switch, when no worker asks for the old version any more.

    Returns:
        Names of the versions unloaded.
    """
    plan = await store.plan()
    needed = {triton_model_name(name) for name in (plan.champion, plan.challenger, plan.previous) if name}
    versions = {triton_model_name(name): name for name in registry.versions()}
    gone = [name for name in server.loaded() if name in versions and name not in needed]
    for name in gone:
        server.unload(name)
    return [versions[name] for name in gone]
