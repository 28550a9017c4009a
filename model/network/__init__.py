"""The network: item tower, sequence encoder, rating head and ranker, in Keras 3 (`keras.ops` throughout)."""

from model.network.config import NetworkConfig
from model.network.content import content_matrix, genre_vocabulary
from model.network.recommender import Recommender

__all__ = ["NetworkConfig", "Recommender", "content_matrix", "genre_vocabulary"]
