"""The rating a user would give: mean, item bias and an interaction of vectors."""

from typing import Any

from model.network.backend import keras, ops
from model.network.config import NetworkConfig

MEAN_PRIOR = 5.0
MIN_RATING = 0.5
MAX_RATING = 5.0
_START_MEAN = 3.5


class RatingHead(keras.layers.Layer):  # type: ignore[misc]
    """Predicts clip(user mean + item bias + w . (hidden * item vector)); fitted in closed form, see model.training.

    Args:
        config: Sizes.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(name="rating")
        self.mean = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(_START_MEAN), trainable=False, name="mean"
        )
        self.bias = self.add_weight(shape=(config.rows,), initializer="zeros", trainable=False, name="rating_bias")
        self.mix = self.add_weight(shape=(config.width,), initializer="zeros", trainable=False, name="mix")

    def call(self, values: Any, items: Any, hidden: Any, rows: Any, vectors: Any) -> Any:
        """Return predicted ratings [B, K].

        Args:
            values: [B, L] float32 ratings of the history, 0 where padded.
            items: [B, L] int32, 0 where padded.
            hidden: [B, d] the encoder's last state.
            rows: [B, K] int32 table rows of the items to predict.
            vectors: [B, K, d] their vectors.
        """
        there = ops.cast(items > 0, "float32")
        total = ops.sum(values * there, axis=1) + MEAN_PRIOR * self.mean
        user_mean = ops.expand_dims(total / (ops.sum(there, axis=1) + MEAN_PRIOR), -1)
        interaction = ops.squeeze(ops.matmul(vectors, ops.expand_dims(hidden * self.mix, -1)), -1)
        return ops.clip(user_mean + ops.take(self.bias, rows, axis=0) + interaction, MIN_RATING, MAX_RATING)
