"""Putting a model version in charge, and finding the one to go back to."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from millrace.kernel.errors import ConfigurationError

if TYPE_CHECKING:
    from millrace.model.registry import Registry
    from millrace.model.triton_admin import ModelServer
    from millrace.stores.redis.protocols import ServingStore
    from millrace.stores.redis.values import ServingPlan


class ListedVersion(BaseModel):
    """One version for `millrace models list`; what only the registry knows is None where it lacks the version."""

    model_config = ConfigDict(frozen=True)

    version: str
    role: str | None
    parent: str | None = None
    created_ms: int | None = None
    events: int | None = None
    seconds: float | None = None
    metrics: dict[str, float] = {}
    events_graded: int = 0
    live_hit_rate_at_10: float | None = None
    live_popularity_hit_rate_at_10: float | None = None


def list_versions(
    registry: "Registry", plan: "ServingPlan", live: Mapping[tuple[str, str], Mapping[str, float]]
) -> list[ListedVersion]:
    """Return every version of the registry and every one that serves, oldest first, both arms' grades added up."""
    serving = {name for name in (plan.champion, plan.challenger) if name is not None}
    known = registry.versions()
    return [_listed(registry, name, name in known, plan, live) for name in sorted({*known, *serving})]


def _listed(
    registry: "Registry",
    name: str,
    known: bool,
    plan: "ServingPlan",
    live: Mapping[tuple[str, str], Mapping[str, float]],
) -> ListedVersion:
    counts = [each for (version, _), each in live.items() if version == name]
    events = sum(each.get("events", 0.0) for each in counts)

    def rate(field: str) -> float | None:
        return sum(each.get(field, 0.0) for each in counts) / events if events else None

    listed = ListedVersion(
        version=name,
        role=_role(name, plan),
        events_graded=int(events),
        live_hit_rate_at_10=rate("hits"),
        live_popularity_hit_rate_at_10=rate("popularity_hits"),
    )
    if not known:
        return listed
    card = registry.get(name).card
    return listed.model_copy(
        update={
            "parent": card.parent,
            "created_ms": card.created_ms,
            "events": card.events,
            "seconds": sum(card.seconds.values()),
            "metrics": card.metrics,
        }
    )


def _role(name: str, plan: "ServingPlan") -> str | None:
    if name == plan.champion:
        return "champion"
    if name == plan.challenger:
        return "challenger"
    return None


async def promote(registry: "Registry", server: "ModelServer", store: "ServingStore", version: str) -> "ServingPlan":
    """Make a version champion, loading it into the model server first; a challenger's trial ends.

    Raises:
        ConfigurationError: The registry has no such version.
        TransientError: The model server or Redis is away; the champion stays.
        FatalError: The model server refuses the version; the champion stays.
    """
    found = registry.get(version)
    name = found.card.serving.triton_model
    if name not in await asyncio.to_thread(server.loaded):
        await asyncio.to_thread(server.deploy, name, found.network)
    await store.put_model(version, found.card.serving.model_dump_json().encode(), found.vectors().tobytes())
    return await store.set_plan(version)


def predecessor(registry: "Registry", plan: "ServingPlan") -> str:
    """Return the version to go back to: the champion before this one, else the one it was made from.

    Raises:
        ConfigurationError: There is none.
    """
    if plan.champion is None:
        raise ConfigurationError("No model version serves yet, so there is none to go back to.")
    before = plan.previous
    if before is None and plan.champion in registry.versions():
        before = registry.get(plan.champion).card.parent
    if before is None:
        raise ConfigurationError(
            f"{plan.champion} is the first version that serves; choose another one with `millrace models promote`."
        )
    return before
