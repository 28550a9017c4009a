"""Conversion between networks in memory and model versions in the registry."""

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
    """Return name -> weight; the names are unique and the same for every network of this architecture."""
    return {f"{place:03d}:{weight.path}": np.asarray(weight) for place, weight in enumerate(recommender.weights)}


def load_weights(recommender: Recommender, weights: Mapping[str, NDArray[np.float32]]) -> None:
    """Load stored weights into a network that may have more items or genres than the stored one.

    Args:
        recommender: Network to modify; the rows of its new items and genres keep their initial values.
        weights: Name -> weight, as `named_weights` returns them.

    Raises:
        ConfigurationError: The weights belong to a network of another architecture.
    """
    own = {f"{place:03d}:{weight.path}": weight for place, weight in enumerate(recommender.weights)}
    if own.keys() != weights.keys():
        raise ConfigurationError("The stored weights belong to a network of another build; train without a parent.")
    for name, weight in own.items():
        if weight is not recommender.tower.content and weight is not recommender.tower.is_item:
            weight.assign(_grown(np.asarray(weight), weights[name], name))


def _grown(fresh: NDArray[np.float32], stored: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    """Return `stored` extended along the first axis to the shape of `fresh`, with the last rows of `fresh`."""
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
    """Return the parent's network, extended to the current catalogue.

    Args:
        parent: Version whose weights are loaded.
        items: Dense index -> item, for the whole current catalogue.
        seed: Seed of dropout and of the initial weights of new rows.
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
    """Return the serving part of a version's card, without the version's name, which the registry sets.

    Args:
        recommender: Network; the number of items and the vector width are read from it.
        feature_names: [F] names of the candidate features, in tensor order.
        context_names: [U] names of the context entries, in tensor order.
        weights: [F] float32 weights of the linear fusion that makes the pre-cut.
        context_weights: [U, F] float32 additions to these weights per unit of each context entry.
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
    """Export a network to ONNX, compare it with Keras and add it to the registry as a new version.

    Args:
        registry: Registry to publish to.
        recommender: Network with baked item vectors (`Recommender.bake`).
        card: Card of the version; its creation time, timing and version name are filled in.
        exporter: Exporter to use; a new one by default.

    Returns:
        The published version.

    Raises:
        FatalError: The exported file cannot be loaded or disagrees with Keras, or the folder cannot be written.
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
    """Publish a network with random weights, for load tests and for tests of the code around the model.

    Args:
        registry: Registry to publish to.
        items: Dense index -> item; at least one.
        feature_names: [F] names of the candidate features.
        context_names: [U] names of the context entries.
        seed: Seed of the random weights.
        weights: [F] float32 linear fusion weights; 0 by default.
        context_weights: [U, F] float32 additions to the weights by context; 0 by default.

    Returns:
        The published version.

    Raises:
        FatalError: ONNX and Keras disagree, or the folder cannot be written.
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
