"""A version of the real network on a real Triton and a real Redis."""

from pathlib import Path

import numpy as np
import pytest

from millrace.kernel.contracts import CatalogueItem
from millrace.kernel.settings import Settings
from millrace.model.deploy import load, switch
from millrace.model.registry import Registry, Version
from millrace.model.triton_admin import make_admin
from millrace.model.versions import publish_untrained, resume
from millrace.stores.redis.stores import open_stores
from millrace.streams.ranking import CONTEXT_NAMES, FEATURE_NAMES, FusionWeights
from millrace.streams.scoring.card import ServingCard
from millrace.streams.scoring.choose import make_scorer
from millrace.streams.scoring.scorer import ScoreRequest

pytestmark = pytest.mark.services
ITEMS = {
    index: CatalogueItem(item_id=f"i{index}", genres=("A", "B")[: index % 3], year=1990) for index in range(1, 401)
}


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Version:
    start = FusionWeights.default()
    registry = Registry(tmp_path_factory.mktemp("registry"))
    return publish_untrained(
        registry,
        ITEMS,
        FEATURE_NAMES,
        CONTEXT_NAMES,
        weights=start.weights,
        context_weights=start.context_weights,
    )


async def test_triton_serves_what_keras_says_and_the_plan_follows(settings: Settings, version: Version) -> None:
    from millrace.model.onnx_export import random_request

    recommender = resume(version, ITEMS, seed=0)
    tensors = random_request(recommender, 6, 64, 0.8, np.random.default_rng(2))
    server = make_admin(settings)
    scorer = make_scorer(settings)
    try:
        async with open_stores(settings) as stores:
            await load(version, server, stores.serving)
            assert (await stores.serving.plan()).champion is None
            plan = await switch(version.name, stores.serving)
            assert plan.champion == version.name
            stored = await stores.serving.model_card(version.name)
            vectors = await stores.serving.model_vectors(version.name)
        assert stored is not None
        card = ServingCard.model_validate_json(stored)
        assert card == version.card.serving
        np.testing.assert_allclose(FusionWeights.from_card(card).weights, FusionWeights.default().weights)
        assert vectors == version.vectors().tobytes()
        answer = await scorer.score(card.triton_model, ScoreRequest(**tensors), timeout_s=5.0)
        await load_again(version, settings)
    finally:
        await scorer.close()
        server.unload(version.card.serving.triton_model)
        server.close()
    wanted = {name: np.asarray(value) for name, value in recommender(tensors).items()}
    np.testing.assert_allclose(answer.scores, wanted["scores"], atol=1e-3)
    np.testing.assert_allclose(answer.predicted_ratings, wanted["predicted_ratings"], atol=1e-3)
    assert (answer.items == wanted["items"]).mean() > 0.99
    assert (answer.proposals == wanted["proposals"]).mean() > 0.99
    assert (answer.because == wanted["because"]).mean() > 0.99


async def load_again(version: Version, settings: Settings) -> None:
    """A version that is loaded already is left alone: a server that refuses every deployment does not notice."""

    class Loaded:
        def loaded(self) -> list[str]:
            return [version.card.serving.triton_model]

        def deploy(self, name: str, onnx_path: Path) -> None:
            raise AssertionError(f"{name} was deployed twice")

        def unload(self, name: str) -> None: ...

        def close(self) -> None: ...

    async with open_stores(settings) as stores:
        await load(version, Loaded(), stores.serving)
