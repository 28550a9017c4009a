"""Between networks in memory and versions in the registry."""

import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.contracts import CatalogueItem
from millrace.kernel.errors import ConfigurationError
from millrace.model.content import content_matrix, genre_vocabulary
from millrace.model.network.config import NetworkConfig
from millrace.model.network.recommender import Recommender
from millrace.model.onnx_export import Exporter, export
from millrace.model.registry import Registry, Version, VersionCard
from millrace.streams.scoring.card import ServingCard

_SPREAD = 0.05


def named_weights(recommender: Recommender) -> dict[str, NDArray[np.float32]]:
    """Return every weight under a name that is unique and stable."""
    return {f"{place:03d}:{weight.path}": np.asarray(weight) for place, weight in enumerate(recommender.weights)}


def load_weights(recommender: Recommender, weights: Mapping[str, NDArray[np.float32]]) -> None:
    """Fill `recommender` from stored weights; where it has more items or genres, the new rows keep their start.

    Raises:
        ConfigurationError: The weights belong to another kind of network.
    """
    own = {f"{place:03d}:{weight.path}": weight for place, weight in enumerate(recommender.weights)}
    if own.keys() != weights.keys():
        raise ConfigurationError("The stored weights belong to a network of another build; train without a parent.")
    for name, weight in own.items():
        if weight is not recommender.tower.content and weight is not recommender.tower.is_item:
            weight.assign(_grown(np.asarray(weight), weights[name], name))


def _grown(fresh: NDArray[np.float32], stored: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    """Return `stored` in the shape of `fresh`, whose first axis may be longer."""
    if fresh.shape == stored.shape:
        return stored
    if fresh.ndim == 0 or fresh.shape[1:] != stored.shape[1:] or len(fresh) < len(stored):
        raise ConfigurationError(
            f"The stored weight {name} has shape {stored.shape}, not {fresh.shape}; train without a parent."
        )
    grown = fresh.copy()
    grown[: len(stored)] = stored
    return grown


def resume(parent: Version, items: Mapping[int, CatalogueItem], seed: int) -> Recommender:
    """Return the parent's network, grown to the catalogue of today.

    Args:
        parent: Version to start from.
        items: Dense index -> item, all of today's.
        seed: Of dropout and of what is new.
    """
    before = parent.card.network
    config = before.model_copy(
        update={
            "items": max(before.items, *items) if items else before.items,
            "genres": genre_vocabulary(items.values(), before.genres),
        }
    )
    recommender = Recommender(config, content_matrix(items, config.genres, config.rows), seed)
    load_weights(recommender, parent.weights())
    recommender.bake()
    return recommender


def serving_card(
    recommender: Recommender,
    feature_names: Sequence[str],
    context_names: Sequence[str],
    weights: NDArray[np.float32],
    context_weights: NDArray[np.float32],
) -> ServingCard:
    """Return the serving side of a card; the registry fills in the version's name.

    Args:
        recommender: Gives sizes.
        feature_names: [F].
        context_names: [U].
        weights: [F] of the pre-cut's linear fusion.
        context_weights: [U, F] likewise.
    """
    return ServingCard(
        version="",
        triton_model="",
        items=recommender.config.items,
        vector_width=recommender.config.width,
        feature_names=tuple(feature_names),
        context_names=tuple(context_names),
        weights=tuple(map(float, weights)),
        context_weights=tuple(tuple(map(float, row)) for row in context_weights),
    )


def publish(
    registry: Registry, recommender: Recommender, card: VersionCard, exporter: Exporter | None = None
) -> Version:
    """Export, check against Keras, and add a version to the registry.

    Args:
        registry: Where to.
        recommender: Baked network.
        card: Its creation time, timing and version name are filled in.
        exporter: Has converted a network of these sizes before, if possible.

    Raises:
        FatalError: ONNX and Keras disagree, or the folder cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="millrace-export-") as folder:
        network = Path(folder) / "model.onnx"
        timing = export(recommender, network, card.seed, exporter)
        complete = card.model_copy(
            update={
                "created_ms": time.time_ns() // 1_000_000,
                "timing_ms": {"one": timing.one_ms, "batch": timing.batch_ms},
            }
        )
        vectors = np.asarray(recommender.vectors)[: recommender.config.items + 1].astype(np.float16)
        return registry.publish(complete, network, named_weights(recommender), vectors)


def publish_untrained(
    registry: Registry,
    items: Mapping[int, CatalogueItem],
    feature_names: Sequence[str],
    context_names: Sequence[str],
    seed: int = 0,
    weights: NDArray[np.float32] | None = None,
    context_weights: NDArray[np.float32] | None = None,
) -> Version:
    """Publish a network with random weights: for load runs and tests of everything around the model.

    Args:
        registry: Where to.
        items: Dense index -> item.
        feature_names: [F].
        context_names: [U].
        seed: Of the random weights.
        weights: [F] linear fusion weights; default all 0.
        context_weights: [U, F]; default all 0.
    """
    genres = genre_vocabulary(items.values())
    config = NetworkConfig(items=max(items), genres=genres, features=len(feature_names), context=len(context_names))
    recommender = Recommender(config, content_matrix(items, genres, config.rows), seed)
    rng = np.random.default_rng(seed)
    recommender.tower.delta.assign(rng.normal(0, _SPREAD, recommender.tower.delta.shape))
    recommender.tower.trained.assign(np.ones(config.rows))
    recommender.ranker.weights_.assign(rng.normal(0, _SPREAD, config.features + 1))
    recommender.bake()
    plain = np.zeros(config.features, np.float32) if weights is None else weights
    by_context = np.zeros((config.context, config.features), np.float32) if context_weights is None else context_weights
    card = serving_card(recommender, feature_names, context_names, plain, by_context)
    return publish(registry, recommender, VersionCard(serving=card, network=config, seed=seed))
