import numpy as np

from millrace.kernel.contracts import CatalogueItem
from millrace.kernel.user_state import ResolvedEvent
from millrace.model.first_weights import FusionFromCounts, rounded
from millrace.streams.catalogue import Catalogue
from millrace.streams.ranking import CONTEXT_NAMES, FEATURE_NAMES, FusionWeights
from millrace.streams.ranking.features import CONTEXTS, FEATURES

HALF = 30


def catalogue():
    out = Catalogue()
    for index in range(1, 2 * HALF + 1):
        out.upsert(index, CatalogueItem(item_id=str(index), title=f"T{index}", genres=("A",), year=2000))
    return out


def pairs_stream(users):
    """Every user takes an item of the first half and then its partner in the second."""
    for user in range(users):
        first = (user * 7) % HALF + 1
        for place, item in enumerate((first, first + HALF)):
            yield ResolvedEvent(f"e{user}-{place}", f"u{user}", item, 4.0, (2 * user + place) * 60_000)


def learned(from_list=True):
    nothing = FusionWeights(np.zeros(FEATURES, np.float32), np.zeros((CONTEXTS, FEATURES), np.float32))
    fusion = FusionFromCounts(catalogue(), nothing)
    for event in pairs_stream(120):
        fusion.learn(event, from_list)
    return rounded(fusion.weights)


def test_what_follows_what_gets_weight_where_it_tells_what_comes_next():
    weights = learned()["weights"]
    assert list(weights) == list(FEATURE_NAMES)
    assert weights["lift_session"] > 0.2
    assert weights["covisited"] > 0.2
    assert weights["popular_ever"] < 0.0


def test_nothing_is_learned_without_lists():
    assert not any(learned(from_list=False)["weights"].values())


def test_small_context_weights_are_left_out():
    context = learned()["context"]
    assert list(context) == list(CONTEXT_NAMES)
    assert all(abs(weight) >= 0.02 for row in context.values() for weight in row.values())
