"""Which version serves whom."""

import numpy as np
import pytest

from millrace.stores.redis.values import ServingPlan
from millrace.streams.ranking import CONTEXT_NAMES, FEATURE_NAMES
from millrace.streams.scoring.card import ServingCard
from millrace.streams.worker.models import CHALLENGER, CHAMPION, ServingModels, read_model


def card(version: str, items: int = 3) -> bytes:
    made = ServingCard(
        version=version,
        triton_model=f"recommender_{version}",
        items=items,
        vector_width=2,
        feature_names=FEATURE_NAMES,
        context_names=CONTEXT_NAMES,
        weights=(0.0,) * len(FEATURE_NAMES),
        context_weights=((0.0,) * len(FEATURE_NAMES),) * len(CONTEXT_NAMES),
    )
    return made.model_dump_json().encode()


class Store:
    def __init__(self) -> None:
        self.current = ServingPlan()
        self.cards: dict[str, bytes] = {}
        self.fetched: list[str] = []

    async def plan(self) -> ServingPlan:
        return self.current

    async def model_card(self, version: str) -> bytes | None:
        self.fetched.append(version)
        return self.cards.get(version)

    async def model_vectors(self, version: str) -> bytes | None:
        return np.arange(8, dtype=np.float16).tobytes()


def models(store: Store) -> ServingModels:
    return ServingModels(store, FEATURE_NAMES, CONTEXT_NAMES)


async def test_a_share_of_the_users_sticks_to_the_challenger() -> None:
    store = Store()
    store.cards = {"v1": card("v1"), "v2": card("v2")}
    store.current = ServingPlan("v1", "v2", 0.3, 1)
    served = models(store)
    await served.refresh()
    arms = [served.model_for(f"user{n}")[0] for n in range(2000)]
    assert arms == [served.model_for(f"user{n}")[0] for n in range(2000)]
    assert 0.26 < arms.count(CHALLENGER) / len(arms) < 0.34
    for n in range(50):
        arm, model = served.model_for(f"user{n}")
        assert model is not None
        assert model.card.version == {"champion": "v1", "challenger": "v2"}[arm]


async def test_a_version_without_its_card_is_not_used_until_it_is_there() -> None:
    store = Store()
    store.cards = {"v1": card("v1")}
    store.current = ServingPlan("v1", sequence=1)
    served = models(store)
    await served.refresh()
    store.current = ServingPlan("v2", sequence=2)
    await served.refresh()
    assert served.versions == {CHAMPION: "v1"}
    store.cards["v2"] = card("v2")
    await served.refresh()
    assert served.versions == {CHAMPION: "v2"}
    store.current = ServingPlan(sequence=3)
    await served.refresh()
    assert served.model_for("anyone") == (CHAMPION, None)


async def test_a_refused_version_is_fetched_again_after_a_while_or_with_a_new_plan() -> None:
    store, now_s = Store(), [0.0]
    store.cards = {"v1": card("v1", items=5), "v2": card("v2", items=5)}
    store.current = ServingPlan("v1", "v2", 0.3, 1)
    served = ServingModels(store, FEATURE_NAMES, CONTEXT_NAMES, now=lambda: now_s[0])
    for now_s[0] in (0.0, 0.1, 4.9):
        await served.refresh()
    assert store.fetched == ["v1", "v2"]
    now_s[0] = 5.0
    await served.refresh()
    assert store.fetched == ["v1", "v2"] * 2
    store.cards["v1"] = card("v1")
    store.current = ServingPlan("v1", sequence=2)
    await served.refresh()
    assert served.versions == {CHAMPION: "v1"}


def test_vectors_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match=r"vectors of v1 have 16 bytes, not 24"):
        read_model("v1", card("v1", items=5), bytes(16), FEATURE_NAMES, CONTEXT_NAMES)


def test_vectors_keep_their_places() -> None:
    model = read_model("v1", card("v1"), np.arange(8, dtype=np.float16).tobytes(), FEATURE_NAMES, CONTEXT_NAMES)
    np.testing.assert_array_equal(model.vectors, [[0, 1], [2, 3], [4, 5], [6, 7]])
