"""Promote and roll back with the real registry, the real store and models that run in this process."""

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from millrace.apps.promotion import list_versions, predecessor, promote
from millrace.kernel.errors import ConfigurationError, FatalError
from millrace.kernel.settings import Settings
from millrace.model.network.config import NetworkConfig
from millrace.model.registry import Registry, VersionCard
from millrace.model.triton_admin import LocalAdmin
from millrace.stores.redis.stores import Stores, open_stores
from millrace.streams.scoring.card import ServingCard

pytestmark = pytest.mark.services


@pytest.fixture
async def stores(redis_server: str, tmp_path: Path) -> AsyncIterator[Stores]:
    async with open_stores(Settings(redis_url=redis_server, redis_prefix=f"promotion-{tmp_path.name}:")) as opened:
        await opened.clear()
        yield opened


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "models")


@pytest.fixture
def server(tmp_path: Path) -> LocalAdmin:
    return LocalAdmin(tmp_path / "served")


def publish(registry: Registry, folder: Path, parent: str | None = None, broken: bool = False) -> str:
    """Add a version whose network only returns its input."""
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", value[:1], value[1:])
    network = folder / "network.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    network.write_bytes(b"broken" if broken else model.SerializeToString())
    serving = ServingCard(
        version="",
        triton_model="",
        items=2,
        vector_width=4,
        feature_names=("a",),
        context_names=("b",),
        weights=(1.0,),
        context_weights=((0.0,),),
    )
    card = VersionCard(
        serving=serving,
        network=NetworkConfig(items=2, features=1, context=1),
        parent=parent,
        metrics={"hit_rate_at_10": 0.08},
        seconds={"train": 2.0, "export": 1.5},
        events=100,
    )
    return registry.publish(card, network, {}, np.zeros((3, 4), np.float16)).name


async def test_a_promoted_version_is_loaded_known_to_workers_and_champion(
    stores: Stores, registry: Registry, server: LocalAdmin, tmp_path: Path
) -> None:
    first, second = publish(registry, tmp_path), publish(registry, tmp_path)
    await promote(registry, server, stores.serving, first)
    plan = await promote(registry, server, stores.serving, second)
    assert (plan.champion, plan.previous, plan.challenger) == (second, first, None)
    assert server.loaded() == [f"recommender_{first}", f"recommender_{second}"]
    card = ServingCard.model_validate_json(await stores.serving.model_card(second) or b"")
    assert card.version == second
    assert await stores.serving.model_vectors(second) == bytes(2 * 3 * 4)


async def test_a_version_that_does_not_load_leaves_the_champion(
    stores: Stores, registry: Registry, server: LocalAdmin, tmp_path: Path
) -> None:
    first, broken = publish(registry, tmp_path), publish(registry, tmp_path, broken=True)
    before = await promote(registry, server, stores.serving, first)
    with pytest.raises(FatalError, match=broken):
        await promote(registry, server, stores.serving, broken)
    with pytest.raises(ConfigurationError, match="v000009"):
        await promote(registry, server, stores.serving, "v000009")
    assert await stores.serving.plan() == before


async def test_a_rollback_goes_to_the_champion_before_and_back_again(
    stores: Stores, registry: Registry, server: LocalAdmin, tmp_path: Path
) -> None:
    first, second = publish(registry, tmp_path), publish(registry, tmp_path)
    await promote(registry, server, stores.serving, first)
    await promote(registry, server, stores.serving, second)
    server.unload(f"recommender_{first}")
    plan = await promote(registry, server, stores.serving, predecessor(registry, await stores.serving.plan()))
    assert (plan.champion, plan.previous) == (first, second)
    assert f"recommender_{first}" in server.loaded()
    assert predecessor(registry, plan) == second


async def test_the_first_champion_goes_back_to_what_it_was_made_from(
    stores: Stores, registry: Registry, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match="none to go back to"):
        predecessor(registry, await stores.serving.plan())
    first = publish(registry, tmp_path)
    with pytest.raises(ConfigurationError, match="first version"):
        predecessor(registry, await stores.serving.set_plan(first))
    child = publish(registry, tmp_path, parent=first)
    await stores.redis.delete(stores.keys.serving)
    assert predecessor(registry, await stores.serving.set_plan(child)) == first


async def test_versions_are_listed_with_roles_and_live_quality(
    stores: Stores, registry: Registry, tmp_path: Path
) -> None:
    first, second = publish(registry, tmp_path), publish(registry, tmp_path, parent="v000001")
    plan = await stores.serving.set_plan(first, second, 0.25)
    live = {(first, "champion"): {"events": 30.0, "hits": 6.0}, (first, "challenger"): {"events": 10.0, "hits": 2.0}}
    listed = list_versions(registry, plan, live)
    assert [(each.version, each.role, each.parent) for each in listed] == [
        (first, "champion", None),
        (second, "challenger", "v000001"),
    ]
    assert (listed[0].events_graded, listed[0].live_hit_rate_at_10) == (40, 0.2)
    assert (listed[1].events, listed[1].seconds, listed[1].metrics) == (100, 3.5, {"hit_rate_at_10": 0.08})
    elsewhere = list_versions(Registry(tmp_path / "none"), plan, live)
    assert [(each.version, each.created_ms) for each in elsewhere] == [(first, None), (second, None)]


def test_the_networks_of_these_tests_are_valid(registry: Registry, tmp_path: Path) -> None:
    onnx.checker.check_model(onnx.load(registry.get(publish(registry, tmp_path)).network))
