"""The network: item tower, sequence encoder, rating head and ranker, in Keras 3 (`keras.ops` throughout)."""

from typing import TYPE_CHECKING, Any

from model.network.config import NetworkConfig
from model.network.content import content_matrix, genre_vocabulary

if TYPE_CHECKING:
    from model.network.recommender import Recommender

__all__ = ["NetworkConfig", "Recommender", "content_matrix", "genre_vocabulary"]


def __getattr__(name: str) -> Any:
    """Import Keras and TensorFlow (seconds) only for whoever wants the network, not for readers of its sizes."""
    if name == "Recommender":
        from model.network.recommender import Recommender

        return Recommender
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
