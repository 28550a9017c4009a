"""Item vectors: a content tower plus a per-item delta."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from millrace.model.backend import gather, keras, ops
from millrace.model.network.config import NetworkConfig

# Logit of rows that are no item; finite, so that no arithmetic on it makes NaN.
NO_ITEM_LOGIT = -1e9
_INITIAL_SPREAD = 0.05


class ItemTower(keras.layers.Layer):  # type: ignore[misc]
    """Vectors and popularity biases of the whole catalogue.

    An item's vector is its content vector plus a delta of its own. The delta and the bias of an item that was never
    trained on count as zero, so a new item starts as its content says. In training, a share of the deltas is left out
    in each step (whole-id dropout), so that the content tower learns to speak for itself.

    Args:
        config: Sizes.
        content: [rows, columns] float32 from `content_matrix`.
        seed: Of the whole-id dropout and the initial weights.
    """

    def __init__(self, config: NetworkConfig, content: NDArray[np.float32], seed: int = 0) -> None:
        super().__init__(name="tower")
        self.config = config
        rows, columns = content.shape
        self.content = self.add_weight(
            shape=content.shape, initializer=lambda *_, **__: content, trainable=False, name="content"
        )
        self.is_item = self.add_weight(
            shape=(rows,), initializer=lambda *_, **__: _is_item(config), trainable=False, name="is_item"
        )
        self.trained = self.add_weight(shape=(rows,), initializer="zeros", trainable=False, name="trained")
        self.delta = self.add_weight(shape=(rows, config.width), initializer="zeros", name="delta")
        self.bias = self.add_weight(shape=(rows,), initializer="zeros", name="bias")
        # Of items never trained on: by content, and a level for all; see millrace.model.training.new_items.
        self.new_content = self.add_weight(shape=(columns,), initializer="zeros", trainable=False, name="new_content")
        self.new_bias = self.add_weight(shape=(), initializer="zeros", trainable=False, name="new_bias")
        spread = keras.initializers.RandomNormal(stddev=_INITIAL_SPREAD, seed=seed + 1)
        even = keras.initializers.GlorotUniform(seed=seed + 2)
        self.hidden = _built(
            keras.layers.Dense(config.width, activation="relu", kernel_initializer=even, name="tower_hidden"), columns
        )
        self.output_layer = _built(
            keras.layers.Dense(config.width, kernel_initializer=spread, name="tower_output"), config.width
        )
        self.seeds = keras.random.SeedGenerator(seed)

    def call(self, rows: Any, training: bool = False) -> tuple[Any, Any]:
        """Return vectors [R, d] and logit biases [R] (NO_ITEM_LOGIT where the row is no item).

        Args:
            rows: [R] int32 rows wanted.
            training: Whether to leave deltas out.
        """
        trained, is_item = gather(self.trained, rows), gather(self.is_item, rows)
        known = ops.expand_dims(trained, -1)
        if training and self.config.id_dropout:
            draw = keras.random.uniform(ops.shape(known), seed=self.seeds)
            known = known * ops.cast(draw >= self.config.id_dropout, "float32")
        content = gather(self.content, rows)
        vectors = self.output_layer(self.hidden(content))
        vectors = vectors + gather(self.delta, rows) * known
        new = ops.matmul(content, self.new_content) + self.new_bias
        bias = gather(self.bias, rows) * trained + new * (1.0 - trained)
        return vectors * ops.expand_dims(is_item, -1), ops.where(is_item > 0, bias, NO_ITEM_LOGIT)


def _is_item(config: NetworkConfig) -> NDArray[np.float32]:
    index = np.arange(config.rows)
    return ((index >= 1) & (index <= config.items)).astype(np.float32)


def _built(layer: Any, inputs: int) -> Any:
    layer.build((None, inputs))
    return layer
