"""One whole training on a stream whose next item is predictable, then a refresh with new items."""

from pathlib import Path

import numpy as np
import pytest

from millrace.kernel.contracts import CatalogueItem
from millrace.kernel.errors import ConfigurationError
from millrace.kernel.user_state import ResolvedEvent
from millrace.model.configuration import ModelConfiguration
from millrace.model.learning.training import Refresh, Training
from millrace.model.registry import Registry, Version
from millrace.model.versions import named_weights, resume
from millrace.streams.ranking import CONTEXT_NAMES, FEATURE_NAMES, FusionWeights

USERS, ITEMS, STEPS = 60, 100, 20
# Enough to learn a single step, and quickly.
SMALL = ModelConfiguration().with_changes({"network.width": 32, "network.blocks": 1, "encoder.epochs": 12})
pytestmark = pytest.mark.slow


def catalogue(items: int) -> dict[int, CatalogueItem]:
    return {index: CatalogueItem(item_id=f"i{index}", genres=("Any",), year=2000) for index in range(1, items + 1)}


def walk(items: int, steps: int, seed: int, from_ms: int = 0) -> list[ResolvedEvent]:
    """Users who mostly go on to the item three further: what comes next can be learned."""
    rng = np.random.default_rng(seed)
    places = rng.integers(0, items, USERS)
    events = []
    for step in range(steps):
        for user in range(USERS):
            places[user] = (places[user] + 3) % items if rng.random() < 0.9 else rng.integers(0, items)
            ts_ms = from_ms + (step * USERS + user) * 1000
            name = f"{seed}-{step}-{user}"
            events.append(ResolvedEvent(name, str(user), int(places[user]) + 1, 0.5 + user % 10 / 2, ts_ms))
    return events


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return Registry(tmp_path_factory.mktemp("registry"))


@pytest.fixture(scope="module")
def told() -> list[tuple[str, float]]:
    return []


@pytest.fixture(scope="module")
def training(registry: Registry, told: list[tuple[str, float]]) -> Training:
    return Training(
        catalogue(ITEMS), registry, None, SMALL, seed=7, progress=lambda phase, share: told.append((phase, share))
    )


@pytest.fixture(scope="module")
def first(training: Training) -> Version:
    training.add(walk(ITEMS, STEPS, 1))
    return training.train(position={-1: USERS * STEPS - 1})


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
    assert first.card.encoder_events == USERS * STEPS
    assert first.card.seconds.keys() >= {"encoder", "ranker", "rating"}
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
    recommender = resume(first, catalogue(ITEMS), seed=0)
    length = first.card.network.length
    history = np.zeros((ITEMS, length), np.int32)
    history[:, -3:] = (np.arange(ITEMS)[:, None] + np.array([-6, -3, 0])) % ITEMS + 1
    inputs = {
        "history": history,
        "history_value": np.where(history > 0, 3.0, 0).astype(np.float32),
        "history_age": np.where(history > 0, np.linspace(60 * 49, 0, length), 0).astype(np.float32),
    }
    logits = np.asarray(recommender.logits(recommender.hidden(inputs)))
    following = (np.arange(ITEMS) + 3) % ITEMS + 1
    ranks = (logits > logits[np.arange(ITEMS), following][:, None]).sum(axis=1)
    assert np.median(ranks) < ITEMS / 10


def test_a_resumed_network_has_the_weights_of_its_version(first: Version) -> None:
    recommender = resume(first, catalogue(ITEMS), seed=99)
    stored = first.weights()
    for name, weight in named_weights(recommender).items():
        np.testing.assert_array_equal(weight, stored[name], err_msg=name)


def test_a_refresh_of_what_is_due_leaves_the_encoder_alone(training: Training, first: Version) -> None:
    training.add(walk(ITEMS, 1, 3, from_ms=USERS * STEPS * 1000))
    second = training.train(Refresh.DUE)
    assert second.card.parent == first.name
    assert second.card.events == USERS * (STEPS + 1)
    assert second.card.encoder_events == USERS * STEPS
    before, after = first.weights(), second.weights()
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed
    ranker = {weight.path for weight in resume(second, catalogue(ITEMS), seed=0).ranker.weights}
    assert {name.partition(":")[2] for name in changed} <= ranker


def test_another_process_goes_on_from_a_version_with_items_that_came_since(registry: Registry, first: Version) -> None:
    items = catalogue(ITEMS + 20) | {ITEMS + 40: CatalogueItem(item_id="untouched", genres=("Another",))}
    training = Training(items, registry, first, SMALL, seed=8)
    training.add(walk(ITEMS, STEPS, 1) + walk(ITEMS + 20, 10, 2, from_ms=USERS * STEPS * 1000))
    second = training.train()
    assert second.card.parent == first.name
    assert second.card.serving.items == ITEMS + 40
    assert second.card.network.genres == ("Any", "Another")
    assert second.card.metrics["holdout_events"] < USERS * 10
    recommender = resume(second, items, seed=0)
    trained = np.asarray(recommender.tower.trained)
    assert trained[ITEMS + 1 : ITEMS + 21].all()
    assert trained[ITEMS + 40] == 0


def test_a_quick_version_has_no_encoder_and_the_next_one_learns_everything(tmp_path: Path, first: Version) -> None:
    events = walk(ITEMS, STEPS, 1)
    training = Training(catalogue(ITEMS), Registry(tmp_path), None, SMALL, seed=7)
    training.add(events)
    quick = training.train(Refresh.RANKER)
    training.add(walk(ITEMS, 1, 3, from_ms=USERS * STEPS * 1000))
    again = training.train(Refresh.RANKER)
    full = training.train(Refresh.DUE)
    assert [one.card.encoder_events for one in (quick, again, full)] == [0, 0, USERS * (STEPS + 1)]
    assert [one.card.events for one in (quick, again, full)] == [USERS * STEPS, *[USERS * (STEPS + 1)] * 2]
    assert full.card.parent == again.name
    assert again.card.network.blocks == 1
    assert quick.card.metrics["hit_rate_at_10"] >= quick.card.metrics["counts_hit_rate_at_10"]
    # The encoder is what knows the step.
    assert full.card.metrics["hit_rate_at_10"] > again.card.metrics["hit_rate_at_10"]
    assert full.card.serving.feature_names == first.card.serving.feature_names


def test_another_process_trains_everything_after_a_quick_version(tmp_path: Path) -> None:
    events, registry = walk(ITEMS, STEPS, 1), Registry(tmp_path)
    training = Training(catalogue(ITEMS), registry, None, SMALL, seed=7)
    training.add(events)
    quick = training.train(Refresh.RANKER)
    training = Training(catalogue(ITEMS), registry, quick, SMALL, seed=7)
    training.add(events)
    full = training.train(Refresh.ALL)
    assert full.card.parent == quick.name
    assert full.card.encoder_events == len(events)


def test_too_few_events_are_refused_in_one_sentence(registry: Registry) -> None:
    training = Training(catalogue(ITEMS), registry)
    training.add(walk(ITEMS, 1, 1))
    with pytest.raises(ConfigurationError, match="at least 200 events to learn from; there are 60"):
        training.train()
