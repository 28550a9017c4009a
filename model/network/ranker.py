"""The ranker: a linear fusion whose weights depend on the context, and a small network on top."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from millrace.model.backend import keras, ops
from millrace.model.network.config import NetworkConfig

PADDED_SCORE = -1e9
# Besides the features the perceptron sees a candidate's place and its linear score.
_PLACE_INPUTS = 2
_PLACE_SCALE = 3.0
# Standardised features beyond this many spreads are odd ones.
_FARTHEST = 5.0


class FusionRanker(keras.layers.Layer):  # type: ignore[misc]
    """Scores candidates: sum_f (w_f + sum_u context_u W_uf) phi_f plus a multilayer perceptron that starts at zero.

    For the linear part features are divided by their spread within a pool. The perceptron sees them as they are,
    standardised over all candidates, with the candidate's place and linear score within the pool: measured on
    ml-latest-small, features centred within the pool made it fit the pool at hand and rank worse than the linear part.

    Args:
        config: Sizes; the encoder's log-probability is one more feature, the last.
        seed: Of the initial weights.
        perceptron: False leaves the linear part alone.
    """

    def __init__(self, config: NetworkConfig, seed: int = 0, perceptron: bool = True, name: str = "ranker") -> None:
        super().__init__(name=name)
        inputs, units = config.features + 1, config.ranker_units
        self.perceptron = perceptron
        self.feature_scale = self._constant(inputs, "ones", "feature_scale")
        self.raw_mean = self._constant(inputs, "zeros", "raw_mean")
        self.raw_scale = self._constant(inputs, "ones", "raw_scale")
        self.context_mean = self._constant(config.context, "zeros", "context_mean")
        self.context_scale = self._constant(config.context, "ones", "context_scale")
        self.weights_ = self.add_weight(shape=(inputs,), initializer="zeros", name="weights")
        self.context_weights = self.add_weight(
            shape=(config.context, inputs), initializer="zeros", name="context_weights"
        )
        if perceptron:
            self.from_features = _dense(units[0], inputs + _PLACE_INPUTS, seed, "from_features")
            self.from_context = _dense(units[0], config.context, seed + 1, "from_context")
            self.hidden = _dense(units[1], units[0], seed + 2, "hidden")
            self.last = keras.layers.Dense(1, kernel_initializer="zeros", use_bias=False, name="last")
            self.last.build((None, None, units[1]))

    def _constant(self, size: int, initializer: str, name: str) -> Any:
        return self.add_weight(shape=(size,), initializer=initializer, trainable=False, name=name)

    def call(self, features: Any, log_prob: Any, context: Any, candidates: Any) -> Any:
        """Return scores [B, C], PADDED_SCORE where the candidate is padding.

        Args:
            features: [B, C, F] float32.
            log_prob: [B, C] float32, the encoder's.
            context: [B, U] float32.
            candidates: [B, C] int32, 0 where padded; best by the pre-cut first.
        """
        there = ops.cast(candidates > 0, "float32")
        raw = ops.concatenate([features, ops.expand_dims(log_prob, -1)], axis=-1)
        scaled_context = (context - self.context_mean) * self.context_scale
        weights = (self.weights_ + ops.matmul(scaled_context, self.context_weights)) * self.feature_scale
        scores = ops.squeeze(ops.matmul(raw, ops.expand_dims(weights, -1)), -1) * there
        count = ops.maximum(ops.sum(there, axis=1, keepdims=True), 1.0)
        scores = (scores - ops.sum(scores, axis=1, keepdims=True) / count) * there
        if self.perceptron:
            scores = scores + self._correction(raw, scores, there, scaled_context)
        return ops.where(candidates > 0, scores, PADDED_SCORE)

    def _correction(self, raw: Any, scores: Any, there: Any, context: Any) -> Any:
        standard = ops.clip((raw - self.raw_mean) * self.raw_scale, -_FARTHEST, _FARTHEST)
        place = ops.log(ops.maximum(ops.cumsum(there, axis=1), 1.0)) / _PLACE_SCALE - 1.0
        seen = ops.concatenate([standard, ops.expand_dims(place, -1), ops.expand_dims(scores, -1)], axis=-1)
        x = self.from_features(seen * ops.expand_dims(there, -1))
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
