"""A network small enough for unit tests, with random weights everywhere."""

import numpy as np

from millrace.kernel.contracts import CatalogueItem
from millrace.model.content import content_matrix, genre_vocabulary
from millrace.model.network.config import NetworkConfig
from millrace.model.network.recommender import Recommender

ITEMS = 300
FEATURES = 5
CONTEXT = 4
GENRES = ("Comedy", "Drama", "War")


def catalogue(items: int = ITEMS) -> dict[int, CatalogueItem]:
    return {
        index: CatalogueItem(item_id=f"i{index}", genres=(GENRES[index % 3],), year=1950 + index % 70)
        for index in range(1, items + 1)
    }


def small_recommender(seed: int = 3, items: int = ITEMS) -> Recommender:
    known = catalogue(items)
    genres = genre_vocabulary(known.values())
    config = NetworkConfig(items=items, genres=genres, features=FEATURES, context=CONTEXT, width=16)
    recommender = Recommender(config, content_matrix(known, genres, config.rows), seed)
    rng = np.random.default_rng(seed)
    for weight in recommender.trainable_weights:
        weight.assign(rng.normal(0, 0.3, weight.shape))
    recommender.tower.trained.assign((np.arange(config.rows) <= items // 2).astype(np.float32))
    recommender.bake()
    return recommender
