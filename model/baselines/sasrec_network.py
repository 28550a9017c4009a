"""SASRec in Keras, for training (Kang, McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018)."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from millrace.model.backend import gather, keras, ops
from millrace.model.baselines.sasrec_inference import BlockWeights, SasrecConfig, SasrecWeights

_INITIAL_SPREAD = 0.02
_HIDDEN = -1e9


class SasrecNetwork(keras.Model):  # type: ignore[misc]
    """Network that predicts the next item after each of the last `targets` positions.

    Args:
        config: Sizes of the network.
        rows: R, rows of the item table; row 0 is padding, and the last rows may be spare (see `use_rows`).
        targets: S, number of last positions that predict.
        dropout: Share of units dropped in training, 0 to 1.
        seed: Seed of dropout and of the initial weights.
    """

    def __init__(self, config: SasrecConfig, rows: int, targets: int, dropout: float, seed: int) -> None:
        super().__init__(name="sasrec")
        self.config, self.targets = config, targets
        spread = keras.initializers.RandomNormal(stddev=_INITIAL_SPREAD, seed=seed)
        self.items = self.add_weight(shape=(rows, config.width), initializer=spread, name="items")
        self.positions = self.add_weight(shape=(config.length, config.width), initializer=spread, name="positions")
        self.blocks = [
            _TransformerBlock(config, dropout, seed + 10 * number, f"block_{number}") for number in range(config.blocks)
        ]
        self.drop = keras.layers.Dropout(dropout, seed=seed)
        self.norm = _norm(config.width, "last_norm")
        # Added to the logits; large and negative for rows without an item.
        self.spare = self.add_weight(shape=(rows,), initializer="zeros", trainable=False, name="spare")

        self._draws = [(draw, np.array(draw)) for draw in self.non_trainable_variables if draw is not self.spare]

    def build(self, input_shape: Any) -> None:
        """Do nothing, since the constructor builds all layers."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Compute the logits of the next item.

        Args:
            inputs: Tuple of one [B, L] int32 tensor of item rows, newest last, 0 where padded.
            training: Whether to apply dropout.

        Returns:
            [B, S, R] float32 logits.
        """
        (history,) = inputs
        x = gather(self.items, history) * self.config.width**0.5 + self.positions
        x = self.drop(x, training=training)
        hidden = ops.expand_dims(ops.cast(history == 0, "float32"), 1) * _HIDDEN + _future(self.config.length)
        for block in self.blocks[:-1]:
            x = block(x, hidden, queries=self.config.length, training=training)
        x = self.norm(self.blocks[-1](x, hidden[:, -self.targets :], queries=self.targets, training=training))
        logits = ops.matmul(ops.reshape(x, (-1, self.config.width)), ops.transpose(self.items)) + self.spare
        return ops.reshape(logits, (-1, self.targets, self.items.shape[0]))

    def use_rows(self, count: int) -> None:
        """Mark rows 1 to `count`, inclusive, as items; the logits of all other rows become large and negative."""
        row = np.arange(self.items.shape[0])
        self.spare.assign(np.where((row >= 1) & (row <= count), 0.0, _HIDDEN).astype(np.float32))

    def weights_for_inference(self) -> SasrecWeights:
        """Return a copy of the weights as arrays."""
        return SasrecWeights(
            items=np.array(self.items),
            positions=np.array(self.positions),
            blocks=tuple(block.weights_for_inference() for block in self.blocks),
            norm=(np.array(self.norm.gamma), np.array(self.norm.beta)),
        )

    def arrays(self) -> list[Any]:
        """Return copies of all trainable weights, for `start_from`."""
        return [np.array(weight) for weight in self.trainable_weights]

    def start_from(self, arrays: Sequence[Any]) -> None:
        """Load the weights of a network of the same sizes that may have fewer rows.

        Args:
            arrays: Result of `arrays` of that network; additional rows keep their initial values.
        """
        for own, known in zip(self.trainable_weights, arrays, strict=True):
            own.assign(np.concatenate([known, np.array(own)[len(known) :]]))

    def forget_steps(self) -> None:
        """Reset the optimiser and the random state of dropout to those of a new network."""
        for variable, value in self._draws:
            variable.assign(value)
        for variable in self.optimizer.variables:
            variable.assign(ops.zeros_like(variable))


class _TransformerBlock(keras.layers.Layer):  # type: ignore[misc]
    """Pre-norm transformer block: causal attention with one head, then a position-wise network, both residual."""

    def __init__(self, config: SasrecConfig, dropout: float, seed: int, name: str) -> None:
        super().__init__(name=name)
        width = config.width
        self.width = width
        self.attention_norm = _norm(width, "attention_norm")
        self.query = _dense(width, width, seed, "query")
        self.key_value = _dense(2 * width, width, seed + 1, "key_value")
        self.mix = _dense(width, width, seed + 2, "mix")
        self.forward_norm = _norm(width, "forward_norm")
        self.inner = _dense(width, width, seed + 3, "inner", "relu")
        self.outer = _dense(width, width, seed + 4, "outer")
        self.drops = [keras.layers.Dropout(dropout, seed=seed + number) for number in range(3)]

    def call(self, x: Any, hidden: Any, queries: int, training: bool = False) -> Any:
        """Compute the hidden states of the last positions.

        Args:
            x: [B, L, d] float32 hidden states of all positions.
            hidden: [B, queries, L] float32 added to the attention scores; large and negative where a query must not
                attend to a key, 0 elsewhere.
            queries: Number of last positions to compute.
            training: Whether to apply dropout.

        Returns:
            [B, queries, d] float32 hidden states.
        """
        normed = self.attention_norm(x)
        key, value = ops.split(self.key_value(normed), 2, axis=-1)
        scores = ops.matmul(self.query(normed[:, -queries:]), ops.transpose(key, (0, 2, 1))) * self.width**-0.5
        weights = self.drops[0](ops.softmax(scores + hidden), training=training)
        x = x[:, -queries:] + self.drops[1](self.mix(ops.matmul(weights, value)), training=training)
        return x + self.drops[2](self.outer(self.inner(self.forward_norm(x))), training=training)

    def weights_for_inference(self) -> BlockWeights:
        """Return a copy of the weights as arrays."""
        return BlockWeights(
            attention_norm=(np.array(self.attention_norm.gamma), np.array(self.attention_norm.beta)),
            query=_arrays(self.query),
            key_value=_arrays(self.key_value),
            mix=_arrays(self.mix),
            forward_norm=(np.array(self.forward_norm.gamma), np.array(self.forward_norm.beta)),
            inner=_arrays(self.inner),
            outer=_arrays(self.outer),
        )


def _future(length: int) -> Any:
    """Return the causal mask, [L, L] float32: large and negative where the key comes after the query, else 0."""
    return np.triu(np.full((length, length), _HIDDEN, np.float32), 1)


def _norm(width: int, name: str) -> Any:
    layer = keras.layers.LayerNormalization(epsilon=1e-5, name=name)
    layer.build((None, None, width))
    return layer


def _dense(units: int, inputs: int, seed: int, name: str, activation: str | None = None) -> Any:
    start = keras.initializers.GlorotUniform(seed=seed)
    layer = keras.layers.Dense(units, activation=activation, kernel_initializer=start, name=name)
    layer.build((None, None, inputs))
    return layer


def _arrays(dense: Any) -> tuple[Any, Any]:
    return np.array(dense.kernel), np.array(dense.bias)
