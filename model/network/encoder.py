"""The sequence encoder: history tensors in, hidden states out."""

from typing import Any

from millrace.model.backend import gather, keras, ops
from millrace.model.network.attention import GAP_BUCKETS, GatedAttention, gap_bucket
from millrace.model.network.config import NetworkConfig

# Ratings in half stars, 0 for padding: 0.5 -> 1 ... 5.0 -> 10.
_VALUE_BUCKETS = 11
_BLOCK_SEEDS = 10
_HIDDEN_GAPS = 0.5


class SequenceEncoder(keras.layers.Layer):  # type: ignore[misc]
    """Causal, time-aware and rating-aware: a position knows its item, its rating and the gaps before and after it.

    The gap after a position is the one to the request it answers. A list made at the moment of the newest event has
    none, so half of the gaps are hidden in training.

    Args:
        config: Sizes.
        seed: Of dropout and initial weights.
    """

    def __init__(self, config: NetworkConfig, seed: int = 0) -> None:
        super().__init__(name="encoder")
        self.config = config
        spread = keras.initializers.RandomNormal(stddev=0.02, seed=seed)
        self.value_embedding = self.add_weight(
            shape=(_VALUE_BUCKETS, config.width), initializer=spread, name="value_embedding"
        )
        self.gap_embedding = self.add_weight(
            shape=(GAP_BUCKETS, config.width), initializer="zeros", name="gap_embedding"
        )
        self.ahead_embedding = self.add_weight(
            shape=(GAP_BUCKETS, config.width), initializer="zeros", name="ahead_embedding"
        )
        self.seeds = keras.random.SeedGenerator(seed)
        self.drop = keras.layers.Dropout(config.dropout, seed=seed)
        self.attention = [
            GatedAttention(config, f"block_{number}", seed + _BLOCK_SEEDS * (number + 1))
            for number in range(config.blocks)
        ]
        self.norm = keras.layers.LayerNormalization(epsilon=1e-5, name="last_norm")
        self.norm.build((None, None, config.width))

    def call(
        self, items: Any, vectors: Any, values: Any, ages: Any, ahead: Any, queries: int, training: bool = False
    ) -> Any:
        """Return the hidden states [B, queries, d] of the last `queries` positions.

        Args:
            items: [B, L] int32 item indexes, newest last, 0 where padded; L may be less than the configured length.
            vectors: [B, L, d] their vectors.
            values: [B, L] float32 ratings.
            ages: [B, L] float32 seconds before a common moment.
            ahead: [B, L] float32 seconds from the entry to the one after it, or to the request.
            queries: Number of last positions wanted; the last block computes no others.
            training: Whether to drop units.
        """
        x = self._embed(vectors, values, ages, ahead, training)
        visible = self._visible(items)
        gaps = gap_bucket(ops.expand_dims(ages, 1) - ops.expand_dims(ages, 2))
        for block in self.attention[:-1]:
            x = block(x, gaps, visible, queries=ops.shape(items)[1], training=training)
        x = self.attention[-1](x, gaps[:, -queries:], visible[:, -queries:], queries=queries, training=training)
        return self.norm(x)

    def _embed(self, vectors: Any, values: Any, ages: Any, ahead: Any, training: bool) -> Any:
        stars = ops.cast(ops.clip(values * 2.0 + 0.5, 0.0, _VALUE_BUCKETS - 1.0), "int32")
        before = ops.concatenate([ages[:, :1], ages[:, :-1]], axis=1)
        if training:
            known = keras.random.uniform(ops.shape(ahead), seed=self.seeds) >= _HIDDEN_GAPS
            ahead = ops.where(known, ahead, 0.0)
        x = vectors * self.config.width**0.5 + gather(self.value_embedding, stars)
        x = x + gather(self.gap_embedding, gap_bucket(before - ages))
        x = x + gather(self.ahead_embedding, gap_bucket(ahead))
        return self.drop(x, training=training)

    def _visible(self, items: Any) -> Any:
        """Return [B, L, L] float32: causal, no padding, but always oneself (a new user has nothing else)."""
        places = ops.arange(ops.shape(items)[1])
        before = ops.expand_dims(places, 1) - ops.expand_dims(places, 0)
        causal, itself = ops.cast(before >= 0, "float32"), ops.cast(before == 0, "float32")
        there = ops.expand_dims(ops.cast(items > 0, "float32"), 1)
        return ops.maximum(there * causal, itself)
