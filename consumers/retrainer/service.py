"""Serving, as far as the retrainer manages it: the champion is loaded, and versions out of use are unloaded."""

import asyncio
import logging
import time

from millrace.kernel.errors import ConfigurationError
from millrace.model import deploy
from millrace.model.registry import Registry, Version, triton_model_name
from millrace.model.triton_admin import ModelServer
from millrace.stores.item_ids import read_item_ids
from millrace.stores.redis.stores import Stores
from millrace.stores.redis.values import ServingPlan

_log = logging.getLogger(__name__)

# Workers follow a switch within a batch or a poll; requests under way end within their deadline. A version nobody has
# been pointed to for this long is out of use.
UNLOAD_AFTER_S = 30.0
VERSIONS_KEPT = 20


class Service:
    """Puts versions into service and unloads them.

    Args:
        registry: The versions.
        server: The administration of the model server.
        stores: The stores of the running event loop.
    """

    def __init__(self, registry: Registry, server: ModelServer, stores: Stores) -> None:
        self.registry = registry
        self._server = server
        self._stores = stores
        self._unneeded_since: dict[str, float] = {}

    async def champion(self) -> Version | None:
        """Return the version that serves, if there is one and the registry has it."""
        return self.known((await self._stores.serving.plan()).champion)

    def known(self, name: str | None) -> Version | None:
        """Return a version if the registry has it."""
        return self.registry.get(name) if name in self.registry.versions() and name is not None else None

    async def switch(self, version: str, replaced: str | None) -> ServingPlan:
        """Load a version, warm it up and point the workers to it; the one before stays loaded for a way back.

        Args:
            version: Its name.
            replaced: The champion whose place it is to take. If another one is in charge by now, a person has put it
                there, and it stays.

        Returns:
            The plan that holds now.

        Raises:
            FatalError: The model server refuses the version; the champion stays.
            TransientError: The model server or Redis is away; the champion stays.
        """
        await deploy.load(self.registry.get(version), self._server, self._stores.serving)
        plan = await self._stores.serving.plan()
        # Another one, or the version itself where an earlier switch was done and only its answer was lost.
        if plan.champion != replaced:
            return plan
        plan = await deploy.switch(version, self._stores.serving)
        self.registry.prune(VERSIONS_KEPT, _needed(plan))
        return plan

    async def restore(self) -> str | None:
        """Bring back what should serve: after a restart of the model server, or the loss of the plan.

        Returns:
            What was done, in one sentence, or None.
        """
        plan = await self._stores.serving.plan()
        name = plan.champion or await self._newest_fitting()
        if name is None or name not in self.registry.versions():
            return None
        if plan.champion and triton_model_name(name) in await asyncio.to_thread(self._server.loaded):
            return None
        await deploy.load(self.registry.get(name), self._server, self._stores.serving)
        if plan.champion is None:
            await deploy.switch(name, self._stores.serving)
        return f"{name} is loaded and serves again."

    async def clean_up(self, now_s: float | None = None) -> list[str]:
        """Unload versions that have not been needed for a while; returns their names."""
        now_s = time.monotonic() if now_s is None else now_s
        needed = {triton_model_name(version) for version in _needed(await self._stores.serving.plan())}
        loaded = await asyncio.to_thread(self._server.loaded)
        unneeded = [name for name in loaded if name not in needed and name.startswith(triton_model_name(""))]
        self._unneeded_since = {name: self._unneeded_since.get(name, now_s) for name in unneeded}
        gone = [name for name, since_s in self._unneeded_since.items() if now_s - since_s >= UNLOAD_AFTER_S]
        for name in gone:
            await asyncio.to_thread(self._server.unload, name)
            _log.info("Unloaded %s.", name)
        return gone

    async def _newest_fitting(self) -> str | None:
        """Return the newest version that may serve and whose rows are the items of this Redis."""
        for name in reversed(self.registry.versions()):
            try:
                version = self.registry.get(name)
            except ConfigurationError:
                continue
            if version.card.accepted is not False and await self._fits(version):
                return name
        return None

    async def _fits(self, version: Version) -> bool:
        ids = read_item_ids(version.path)
        if not ids:
            return False
        return await self._stores.catalogue.item_ids(list(range(1, len(ids) + 1))) == ids


def _needed(plan: ServingPlan) -> frozenset[str]:
    return frozenset(name for name in (plan.champion, plan.challenger, plan.previous) if name is not None)
