"""Which model version scores whom: follows the serving pointer and holds what a worker needs of each version."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from millrace.stores.redis.values import ServingPlan
from millrace.streams.scoring.card import ServingCard

logger = logging.getLogger(__name__)

CHAMPION = "champion"
CHALLENGER = "challenger"
# How often `refresh` is to be called.
POLL_S = 0.1
# A version that was refused is fetched again after this; its vectors may be many megabytes.
_REFUSED_S = 5.0
_HASH_RANGE = 2**32


class ServingReader(Protocol):
    """What the worker reads of `ServingStore`."""

    async def plan(self) -> ServingPlan:
        """Return the current plan."""
        ...

    async def model_card(self, version: str) -> bytes | None:
        """Return the version's card."""
        ...

    async def model_vectors(self, version: str) -> bytes | None:
        """Return the version's item vectors."""
        ...


@dataclass(frozen=True, slots=True)
class ServingModel:
    """What a worker needs of one version.

    Args:
        card: The serving card.
        vectors: [items + 1, width] float32 item vectors, for diversity.
    """

    card: ServingCard
    vectors: NDArray[np.float32]


def read_model(
    version: str, card_json: bytes, vectors: bytes, feature_names: tuple[str, ...], context_names: tuple[str, ...]
) -> ServingModel:
    """Return the version, if this worker can serve it.

    Raises:
        ValueError: Names or shapes are not this worker's; the text says which.
    """
    try:
        card = ServingCard.model_validate_json(card_json)
    except ValidationError as error:
        raise ValueError(f"the card of {version} is unreadable ({error.errors()[0]['msg']})") from None
    if card.feature_names != feature_names or card.context_names != context_names:
        raise ValueError(f"{version} was built for other features than this worker computes")
    expected = (card.items + 1) * card.vector_width
    if len(vectors) != 2 * expected:
        raise ValueError(f"the vectors of {version} have {len(vectors)} bytes, not {2 * expected}")
    table = np.frombuffer(vectors, np.float16).reshape(card.items + 1, card.vector_width)
    return ServingModel(card, table.astype(np.float32))


class ServingModels:
    """Follows the serving plan; a version is used from the moment all of it is here, the old one until then.

    Args:
        store: Where the plan and the cards are.
        feature_names: The features this worker computes, in tensor order.
        context_names: The context entries, likewise.
        now: Clock in seconds.
    """

    def __init__(
        self,
        store: ServingReader,
        feature_names: tuple[str, ...],
        context_names: tuple[str, ...],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._names = (feature_names, context_names)
        self._now = now
        self._plan: ServingPlan | None = None
        self._models: dict[str, ServingModel] = {}
        self._complained: set[str] = set()
        # When a version was last refused, under the plan it was refused under.
        self._refused_s: dict[tuple[int, str], float] = {}
        self.champion: ServingModel | None = None
        self.challenger: ServingModel | None = None

    @property
    def versions(self) -> dict[str, str]:
        """The versions in use by arm."""
        arms = {CHAMPION: self.champion, CHALLENGER: self.challenger}
        return {arm: model.card.version for arm, model in arms.items() if model is not None}

    def model_for(self, user_id: str) -> tuple[str, ServingModel | None]:
        """Return the arm a user is in, the same one as long as the challenger stays, and its version."""
        if self.challenger is not None and self._plan is not None:
            drawn = crc32(f"{self.challenger.card.version}:{user_id}".encode()) / _HASH_RANGE
            if drawn < self._plan.challenger_share:
                return CHALLENGER, self.challenger
        return CHAMPION, self.champion

    async def refresh(self) -> None:
        """Follow the plan if it has changed; raises TransientError while the store is away."""
        plan = await self._store.plan()
        if plan == self._plan:
            return
        champion, challenger = await self._get(plan, plan.champion), await self._get(plan, plan.challenger)
        if (champion is None) != (plan.champion is None):
            return  # asked again at the next poll; what was served so far goes on
        self.champion, self.challenger, self._plan = champion, challenger, plan
        kept = {model.card.version for model in (self.champion, self.challenger) if model is not None}
        self._models = {version: model for version, model in self._models.items() if version in kept}
        logger.info("Serving %s.", self.versions or "without a model")

    async def _get(self, plan: ServingPlan, version: str | None) -> ServingModel | None:
        if version is None or version in self._models:
            return self._models.get(version or "")
        # A changed plan asks again at once: a version may have been put once more before it.
        asked = (plan.sequence, version)
        if self._now() - self._refused_s.get(asked, -_REFUSED_S) < _REFUSED_S:
            return None
        card, vectors = await asyncio.gather(self._store.model_card(version), self._store.model_vectors(version))
        if card is None or vectors is None:
            self._complain(version, "its card or its vectors are missing")
            return None
        try:
            self._models[version] = read_model(version, card, vectors, *self._names)
        except ValueError as error:
            self._complain(version, str(error))
            current = {each: at_s for each, at_s in self._refused_s.items() if each[0] == plan.sequence}
            self._refused_s = {**current, asked: self._now()}
        return self._models.get(version)

    def _complain(self, version: str, why: str) -> None:
        if version not in self._complained:
            self._complained.add(version)
            logger.error("Version %s is not used: %s.", version, why)
