"""The ranker: a linear fusion whose weights depend on the context, and a small network on top."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.network.backend import keras, ops
from model.network.config import NetworkConfig

PADDED_SCORE = -1e9
_SPREAD_FLOOR = 1e-3


class FusionRanker(keras.layers.Layer):  # type: ignore[misc]
    """Scores candidates: sum_f (w_f + sum_u context_u W_uf) phi_f plus a multilayer perceptron that starts at zero.

    Features are divided by constant scales first, and for the perceptron centred and scaled over the user's pool.

    Args:
        config: Sizes; the encoder's log-probability is one more feature, the last.
        seed: Of the initial weights.
        perceptron: False leaves the linear part alone.
    """

    def __init__(self, config: NetworkConfig, seed: int = 0, perceptron: bool = True, name: str = "ranker") -> None:
        super().__init__(name=name)
        inputs, units = config.features + 1, config.ranker_units
        self.perceptron = perceptron
        self.feature_scale = self.add_weight(shape=(inputs,), initializer="ones", trainable=False, name="feature_scale")
        self.context_mean = self.add_weight(
            shape=(config.context,), initializer="zeros", trainable=False, name="context_mean"
        )
        self.context_scale = self.add_weight(
            shape=(config.context,), initializer="ones", trainable=False, name="context_scale"
        )
        self.weights_ = self.add_weight(shape=(inputs,), initializer="zeros", name="weights")
        self.context_weights = self.add_weight(
            shape=(config.context, inputs), initializer="zeros", name="context_weights"
        )
        if perceptron:
            self.from_features = _dense(units[0], 2 * inputs, seed, "from_features")
            self.from_context = _dense(units[0], config.context, seed + 1, "from_context")
            self.hidden = _dense(units[1], units[0], seed + 2, "hidden")
            self.last = keras.layers.Dense(1, kernel_initializer="zeros", use_bias=False, name="last")
            self.last.build((None, None, units[1]))

    def call(self, features: Any, log_prob: Any, context: Any, candidates: Any) -> Any:
        """Return scores [B, C], PADDED_SCORE where the candidate is padding.

        Args:
            features: [B, C, F] float32.
            log_prob: [B, C] float32, the encoder's.
            context: [B, U] float32.
            candidates: [B, C] int32, 0 where padded.
        """
        there = ops.expand_dims(ops.cast(candidates > 0, "float32"), -1)
        phi = ops.concatenate([features, ops.expand_dims(log_prob, -1)], axis=-1) * self.feature_scale * there
        count = ops.maximum(ops.sum(there, axis=1, keepdims=True), 1.0)
        phi = (phi - ops.sum(phi, axis=1, keepdims=True) / count) * there
        scaled_context = (context - self.context_mean) * self.context_scale
        weights = self.weights_ + ops.matmul(scaled_context, self.context_weights)
        scores = ops.squeeze(ops.matmul(phi, ops.expand_dims(weights, -1)), -1)
        if self.perceptron:
            scores = scores + self._correction(phi, scaled_context, count)
        return ops.where(candidates > 0, scores, PADDED_SCORE)

    def _correction(self, phi: Any, context: Any, count: Any) -> Any:
        variance = ops.sum(ops.square(phi), axis=1, keepdims=True) / count
        pooled = phi / ops.sqrt(variance + _SPREAD_FLOOR)
        x = self.from_features(ops.concatenate([phi, pooled], axis=-1))
        x = ops.relu(x + ops.expand_dims(self.from_context(context), 1))
        return ops.squeeze(self.last(ops.relu(self.hidden(x))), -1)

    def plain_weights(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the linear part for unscaled inputs: weights [F + 1] and context weights [U, F + 1]."""
        scale = np.asarray(self.feature_scale)
        context = np.asarray(self.context_weights) * np.asarray(self.context_scale)[:, None] * scale
        weights = np.asarray(self.weights_) * scale - np.asarray(self.context_mean) @ context
        return weights, context


def _dense(units: int, inputs: int, seed: int, name: str) -> Any:
    layer = keras.layers.Dense(units, kernel_initializer=keras.initializers.GlorotUniform(seed=seed), name=name)
    layer.build((None, None, inputs))
    return layer
