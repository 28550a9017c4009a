import math

import numpy as np
import pytest
from small_world import make_world

from millrace.kernel.contracts import CatalogueItem
from millrace.streams.ranking.title_kernel import RELATIVES, find_relatives, post_tokens


def relatives_of(catalogue, index: int) -> list[int]:
    offsets, carriers = post_tokens(catalogue.tokens, catalogue.token_items)
    out = np.zeros(RELATIVES, np.int32)
    number = find_relatives(index, catalogue.tokens, offsets, carriers, len(catalogue), out)
    return out[:number].tolist()


def plain_relatives(catalogue, index: int) -> list[int]:
    shared: dict[int, float] = {}
    for token in catalogue.tokens[index].tolist():
        carriers = set(np.flatnonzero((catalogue.tokens == token).any(axis=1)).tolist())
        if token and 2 <= len(carriers) <= 25:
            for other in carriers - {index}:
                shared[other] = shared.get(other, 0.0) + math.log(len(catalogue) / len(carriers))
    return sorted(shared, key=lambda other: (-shared[other], other))[:RELATIVES]


@pytest.mark.parametrize("seed", [0, 1])
def test_relatives_share_the_most_and_the_rarest_words(seed):
    world, random = make_world(items=200, events=0), np.random.default_rng(seed)
    words = ["alien", "beta", "gamma", "delta", "rocky", "story", "moon", "river", "night", "day", "war", "king"]
    for index in range(1, 201):
        title = " ".join(random.choice(words, size=random.integers(1, 4), replace=False))
        world.catalogue.upsert(index, CatalogueItem(item_id=f"i{index}", title=f"{title} {index % 11}"))
    found = [relatives_of(world.catalogue, index) for index in range(1, 201)]
    assert found == [plain_relatives(world.catalogue, index) for index in range(1, 201)]
    assert max(map(len, found)) == RELATIVES


def test_an_item_without_words_has_no_relatives():
    world = make_world(items=20, events=0)
    world.catalogue.upsert(21, CatalogueItem(item_id="i21", title=""))
    assert relatives_of(world.catalogue, 21) == []
    assert relatives_of(world.catalogue, 0) == []


def test_kept_relatives_are_found_again_once_titles_have_changed():
    world = make_world(items=1_500, events=900)
    state, rare = world.event("u1", 700), CatalogueItem(item_id="i1400", title="Zanzibar Quintet", available=True)
    world.candidates_of(state)
    assert world.step.view.related[700] > 0
    world.catalogue.upsert(1_400, rare)
    world.catalogue.upsert(700, CatalogueItem(item_id="i700", title="Zanzibar Overture"))
    world.candidates_of(state)
    kept, number = world.step.view.relatives[700], int(world.step.view.related[700]) - 1
    assert kept[:number].tolist() == relatives_of(world.catalogue, 700) == [1_400]
