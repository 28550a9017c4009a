"""One gradient step of the encoder: full softmax over the catalogue, all targets of a window at once."""

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from millrace.model.backend import gather, ops
from millrace.model.network.recommender import Recommender
from millrace.model.training.adamw import FusedAdamW

# Gradient norms beyond this come from a few odd samples.
_CLIP_NORM = 1.0
Batch = tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.int32]]


class NextItemStep:
    """Lowers the cross-entropy of the item after each of the last S slots of a window.

    The graph is traced once for windows and softmaxes of any size: tracing takes seconds, so an object is worth keeping
    for as long as its network is trained.

    Args:
        recommender: Network; its tower and encoder are trained.
        weight_decay: Of AdamW.

    Attributes:
        optimizer: Of tower and encoder.
    """

    def __init__(self, recommender: Recommender, weight_decay: float) -> None:
        self._tower, self._encoder = recommender.tower, recommender.encoder
        self._width = recommender.config.width
        self._variables = self._tower.trainable_variables + self._encoder.trainable_variables
        self.optimizer = FusedAdamW(self._variables, weight_decay, _CLIP_NORM)
        slots = [tf.TensorSpec((None, None), kind) for kind in (tf.int32, tf.float32, tf.float32, tf.float32)]
        rows = [tf.TensorSpec((None,), tf.int32), tf.TensorSpec((None,), tf.float32)]
        # XLA was measured on two cores: no faster per step, and ten seconds more to start.
        wanted = tf.TensorSpec((None, None), tf.int32)
        self._traced = tf.function(self._step, [*rows, *slots, wanted, tf.TensorSpec((), tf.float32)])

    def __call__(self, rows: NDArray[np.int32], log_weights: NDArray[np.float32], batch: Batch, rate: float) -> Any:
        """Do one step; returns the mean loss per target, a scalar tensor.

        Args:
            rows: [R] table rows of the softmax; the first is padding.
            log_weights: [R] logarithm of how many items a row stands for.
            batch: history [B, L] and target [B, S] as places in `rows`, between them values, ages and gaps ahead.
            rate: Learning rate.
        """
        history, values, ages, ahead, target = batch
        return self._traced(rows, log_weights, history, values, ages, ahead, target, rate)

    def _step(
        self, rows: Any, log_weights: Any, history: Any, values: Any, ages: Any, ahead: Any, target: Any, rate: Any
    ) -> Any:
        with tf.GradientTape() as tape:
            logits = self._logits(rows, log_weights, history, values, ages, ahead, tf.shape(target)[1])
            wanted = tf.reshape(target, (-1,))
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(wanted, logits)
            given = tf.cast(wanted > 0, tf.float32)
            loss = tf.reduce_sum(losses * given) / tf.maximum(tf.reduce_sum(given), 1.0)
        variables = [variable.value for variable in self._variables]
        self.optimizer.apply(tape.gradient(loss, variables), rate)
        return loss

    def _logits(
        self, rows: Any, log_weights: Any, history: Any, values: Any, ages: Any, ahead: Any, queries: Any
    ) -> Any:
        """Return [B * S, R]. The bias is a column of the product: adding it would be a pass over the largest tensor."""
        vectors, bias = self._tower(rows, training=True)
        heard = gather(vectors, history)
        hidden = self._encoder(history, heard, values, ages, ahead, queries=queries, training=True)
        flat = ops.reshape(hidden, (-1, self._width))
        flat = ops.concatenate([flat, ops.ones_like(flat[:, :1])], axis=1)
        table = ops.concatenate([vectors, ops.expand_dims(bias + log_weights, 1)], axis=1)
        return ops.matmul(flat, ops.transpose(table))
