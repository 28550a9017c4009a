"""Networks for a catalogue, and the same network for a larger one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.contracts import CatalogueItem
from millrace.model.configuration import NetworkChoices
from millrace.model.content import content_matrix, genre_vocabulary
from millrace.model.network.config import DEFAULT_LENGTH, NetworkConfig
from millrace.model.network.recommender import Recommender
from millrace.model.versions import load_weights, named_weights
from millrace.streams.ranking import CONTEXT_NAMES, FEATURE_NAMES
from millrace.streams.scoring.scorer import HISTORY_TENSOR_LENGTH

# Events for each item of the catalogue from which a log counts as dense. The first training asks, on a tenth of what
# will come: items that nobody has touched yet are what tells a sparse log from a dense one then.
_DENSE_EVENTS = 4


def fresh_network(items: Mapping[int, CatalogueItem], choices: NetworkChoices, seed: int) -> Recommender:
    """Return a network with random weights; baked.

    Args:
        items: Dense index -> item.
        choices: Sizes.
        seed: Of the weights.
    """
    genres = genre_vocabulary(items.values())
    config = NetworkConfig(
        items=max(items),
        genres=genres,
        features=len(FEATURE_NAMES),
        context=len(CONTEXT_NAMES),
        **choices.model_dump(exclude_none=True),
    )
    recommender = Recommender(config, content_matrix(items, genres, config.rows), seed)
    recommender.bake()
    return recommender


def network_length(events: int, items: int) -> int:
    """Return how many history entries an encoder reads: more where items are met often enough to learn order from.

    Args:
        events: In the log.
        items: In the catalogue, never touched ones included.
    """
    return HISTORY_TENSOR_LENGTH if events >= _DENSE_EVENTS * items else DEFAULT_LENGTH


def grown_network(recommender: Recommender, items: Mapping[int, CatalogueItem], seed: int) -> Recommender:
    """Return the same network with rows for more items; baked.

    Args:
        recommender: Network.
        items: Dense index -> item, all of today's.
        seed: Of dropout and of what is new.
    """
    before = recommender.config
    genres = genre_vocabulary(items.values(), before.genres)
    config = before.model_copy(update={"items": max(before.items, *items), "genres": genres})
    larger = Recommender(config, content_matrix(items, genres, config.rows), seed)
    larger.ranker.perceptron = recommender.ranker.perceptron
    load_weights(larger, named_weights(recommender))
    larger.bake()
    return larger


@dataclass(frozen=True, slots=True)
class FrozenNetwork:
    """A network as plain data.

    Args:
        config: Its sizes.
        perceptron: Whether its ranker has one.
        variables: Everything it holds, states of random generators included, in its order.
    """

    config: NetworkConfig
    perceptron: bool
    variables: tuple[NDArray[Any], ...]


def frozen(recommender: Recommender) -> FrozenNetwork:
    """Return a network as plain data."""
    variables = tuple(np.asarray(variable) for variable in recommender.variables)
    return FrozenNetwork(recommender.config, recommender.ranker.perceptron, variables)


def thawed(network: FrozenNetwork) -> Recommender:
    """Return the network that was frozen."""
    genres = network.config.genres
    recommender = Recommender(network.config, content_matrix({}, genres, network.config.rows))
    for variable, value in zip(recommender.variables, network.variables, strict=True):
        variable.assign(value)
    recommender.ranker.perceptron = network.perceptron
    return recommender
