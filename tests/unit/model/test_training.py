"""One whole training on a stream whose next item is predictable, then a refresh with new items."""

import numpy as np
import pytest

from millrace.contracts import CatalogueItem
from millrace.errors import ConfigurationError
from model.dataset.events import EventTable, TrainingData
from model.registry import Registry, Version
from model.training.jobs import train_and_publish
from model.training.train import train
from model.versions import named_weights, resume
from streams.ranking import CONTEXT_NAMES, FEATURE_NAMES, FusionWeights

USERS, ITEMS, STEPS = 60, 100, 20
pytestmark = pytest.mark.slow


def walk(items: int, steps: int, seed: int) -> TrainingData:
    """Users who mostly go on to the item three further: what comes next can be learned."""
    rng = np.random.default_rng(seed)
    places = rng.integers(0, items, USERS)
    rows = []
    for step in range(steps):
        for user in range(USERS):
            places[user] = (places[user] + 3) % items if rng.random() < 0.9 else rng.integers(0, items)
            rows.append((user, places[user] + 1, 0.5 + user % 10 / 2, (step * USERS + user) * 1000))
    users, chosen, values, ts_ms = map(np.array, zip(*rows, strict=True))
    table = EventTable(
        users.astype(np.int32), chosen.astype(np.int32), values.astype(np.float32), ts_ms.astype(np.int64)
    )
    known = {index: CatalogueItem(item_id=f"i{index}", genres=("Any",), year=2000) for index in range(1, items + 1)}
    return TrainingData(table, known, {-1: len(rows) - 1})


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return Registry(tmp_path_factory.mktemp("registry"))


@pytest.fixture(scope="module")
def told() -> list[tuple[str, float]]:
    return []


@pytest.fixture(scope="module")
def first(registry: Registry, told: list[tuple[str, float]]) -> Version:
    return train_and_publish(
        walk(ITEMS, STEPS, 1), registry, seed=7, progress=lambda phase, share: told.append((phase, share))
    )


def test_a_version_beats_the_popularity_list_on_what_it_had_not_seen(first: Version) -> None:
    metrics = first.card.metrics
    assert metrics["holdout_events"] >= 100
    assert metrics["hit_rate_at_10"] > 2 * metrics["popularity_hit_rate_at_10"]
    assert metrics["ndcg_at_10"] <= metrics["hit_rate_at_10"]
    assert all(np.isfinite(value) for value in metrics.values())


def test_the_card_tells_where_the_version_comes_from(first: Version) -> None:
    assert first.card.parent is None
    assert first.card.events == USERS * STEPS
    assert first.card.position == {-1: USERS * STEPS - 1}
    assert first.card.seconds.keys() == {"encoder", "replay", "ranker"}
    assert first.card.serving.feature_names == FEATURE_NAMES
    assert first.card.serving.context_names == CONTEXT_NAMES
    weights = FusionWeights.from_card(first.card.serving)
    assert weights.context_weights.shape == (len(CONTEXT_NAMES), len(FEATURE_NAMES))
    assert first.vectors().shape == (ITEMS + 1, first.card.serving.vector_width)


def test_progress_goes_from_nothing_to_all(first: Version, told: list[tuple[str, float]]) -> None:
    phases = {phase for phase, _ in told}
    assert phases == {"encoder", "replay", "ranker", "export"}
    for phase in phases:
        assert min(share for name, share in told if name == phase) >= 0
        assert max(share for name, share in told if name == phase) == 1.0


def test_the_encoder_has_learned_the_step(first: Version) -> None:
    recommender = resume(first, walk(ITEMS, 1, 1).items, seed=0)
    history = np.zeros((ITEMS, 50), np.int32)
    history[:, -3:] = (np.arange(ITEMS)[:, None] + np.array([-6, -3, 0])) % ITEMS + 1
    inputs = {
        "history": history,
        "history_value": np.where(history > 0, 3.0, 0).astype(np.float32),
        "history_age": np.where(history > 0, np.linspace(60 * 49, 0, 50), 0).astype(np.float32),
    }
    logits = np.asarray(recommender.logits(recommender.hidden(inputs)))
    following = (np.arange(ITEMS) + 3) % ITEMS + 1
    ranks = (logits > logits[np.arange(ITEMS), following][:, None]).sum(axis=1)
    assert np.median(ranks) < ITEMS / 10


def test_a_resumed_network_has_the_weights_of_its_version(first: Version) -> None:
    recommender = resume(first, walk(ITEMS, 1, 1).items, seed=99)
    stored = first.weights()
    for name, weight in named_weights(recommender).items():
        np.testing.assert_array_equal(weight, stored[name], err_msg=name)


def test_a_refresh_learns_new_items_and_leaves_untouched_ones_to_their_content(
    registry: Registry, first: Version
) -> None:
    older, newer = walk(ITEMS, STEPS, 1), walk(ITEMS + 20, 10, 2)
    shift = USERS * STEPS * 1000
    table = EventTable(
        *(
            np.concatenate(
                [getattr(older.events, name), getattr(newer.events, name) + (shift if name == "ts_ms" else 0)]
            )
            for name in ("users", "items", "values", "ts_ms")
        )
    )
    items = newer.items | {ITEMS + 40: CatalogueItem(item_id="untouched", genres=("Another",))}
    data = TrainingData(table, items, {-1: len(table) - 1}, new_from=len(older.events))
    second = train_and_publish(data, registry, first, seed=8)
    assert second.card.parent == first.name
    assert second.card.serving.items == ITEMS + 40
    assert second.card.network.genres == ("Any", "Another")
    assert "parent_hit_rate_at_10" in second.card.metrics
    recommender = resume(second, items, seed=0)
    trained = np.asarray(recommender.tower.trained)
    assert trained[ITEMS + 1 : ITEMS + 21].all()
    assert trained[ITEMS + 40] == 0


def test_too_few_events_are_refused_in_one_sentence() -> None:
    with pytest.raises(ConfigurationError, match="at least 200 events to learn from; there are 60"):
        train(walk(ITEMS, 1, 1))
