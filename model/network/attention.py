"""Causal, time-aware gated attention (after HSTU, Zhai et al. 2024, arXiv:2402.17152)."""

from typing import Any

from millrace.model.backend import gather, keras, ops
from millrace.model.network.config import NetworkConfig

# log2 of seconds: 2^31 s are 68 years.
GAP_BUCKETS = 32
# Keeps whole seconds and milliseconds off the bucket borders, where two runtimes may round differently.
_GAP_OFFSET = 1.00037
_LN_2 = 0.6931471805599453


def gap_bucket(gap_s: Any) -> Any:
    """Return floor(log2(seconds + 1)), int32 in 0..GAP_BUCKETS - 1, elementwise."""
    log2 = ops.log(ops.maximum(gap_s, 0.0) + _GAP_OFFSET) / _LN_2
    return ops.cast(ops.clip(log2, 0.0, GAP_BUCKETS - 1.0), "int32")


class GatedAttention(keras.layers.Layer):  # type: ignore[misc]
    """One block: SiLU attention with relative position and time-gap biases, gated, with a residual.

    Args:
        config: Sizes.
        name: Distinguishes the blocks' weights.
        seed: Of the dropout and the initial weights.
    """

    def __init__(self, config: NetworkConfig, name: str, seed: int) -> None:
        super().__init__(name=name)
        self.config = config
        width = config.width
        self.norm = _layer(keras.layers.LayerNormalization(epsilon=1e-5, name="norm"), width)
        self.query_gate = _layer(_dense(2 * width, seed, "query_gate"), width)
        self.key_value = _layer(_dense(2 * width, seed + 1, "key_value"), width)
        self.inner_norm = _layer(keras.layers.LayerNormalization(epsilon=1e-5, name="inner_norm"), width)
        self.mix = _layer(_dense(width, seed + 2, "mix"), width)
        self.drop = keras.layers.Dropout(config.dropout, seed=seed)
        self.position_bias = self.add_weight(shape=(config.length, config.heads), initializer="zeros", name="position")
        self.gap_bias = self.add_weight(shape=(GAP_BUCKETS, config.heads), initializer="zeros", name="gap")

    def call(self, x: Any, gaps: Any, visible: Any, queries: int, training: bool = False) -> Any:
        """Attend from the last `queries` positions to all.

        Args:
            x: [B, L, d] hidden states.
            gaps: [B, queries, L] int32 gap buckets between query and key.
            visible: [B, queries, L] float32, 1 where the query may see the key.
            queries: Number of last positions to compute.
            training: Whether to drop units.

        Returns:
            [B, queries, d].
        """
        normed = self.norm(x)
        query, gate = ops.split(ops.silu(self.query_gate(normed[:, -queries:])), 2, axis=-1)
        key, value = ops.split(ops.silu(self.key_value(normed)), 2, axis=-1)
        scores = ops.matmul(self._heads(query), ops.transpose(self._heads(key), (0, 1, 3, 2)))
        bias = gather(self.gap_bias, gaps) + self._relative(queries, ops.shape(x)[1])
        weights = ops.silu(scores * (self._head_width**-0.5) + ops.transpose(bias, (0, 3, 1, 2)))
        weights = weights * ops.expand_dims(visible, 1) / self.config.length
        seen = ops.transpose(ops.matmul(weights, self._heads(value)), (0, 2, 1, 3))
        seen = self.inner_norm(ops.reshape(seen, (-1, queries, self.config.width)))
        return x[:, -queries:] + self.drop(self.mix(seen * gate), training=training)

    @property
    def _head_width(self) -> int:
        return self.config.width // self.config.heads

    def _heads(self, x: Any) -> Any:
        """[B, T, d] -> [B, heads, T, d / heads]."""
        split = ops.reshape(x, (-1, ops.shape(x)[1], self.config.heads, self._head_width))
        return ops.transpose(split, (0, 2, 1, 3))

    def _relative(self, queries: Any, keys: Any) -> Any:
        """Return [queries, keys, heads] position biases; keys after the query share entry 0 and are masked anyway."""
        at = ops.expand_dims(ops.arange(keys - queries, keys), 1) - ops.expand_dims(ops.arange(keys), 0)
        return gather(self.position_bias, ops.maximum(at, 0))


def _dense(units: int, seed: int, name: str) -> Any:
    return keras.layers.Dense(units, kernel_initializer=keras.initializers.GlorotUniform(seed=seed), name=name)


def _layer(layer: Any, inputs: int) -> Any:
    layer.build((None, None, inputs))
    return layer
