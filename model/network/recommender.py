"""The whole network: history and candidates in, ranked lists out."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from millrace.model.backend import gather, keras, ops
from millrace.model.network.config import NetworkConfig
from millrace.model.network.encoder import SequenceEncoder
from millrace.model.network.ranker import PADDED_SCORE, FusionRanker
from millrace.model.network.rating_head import RatingHead
from millrace.model.network.tower import NO_ITEM_LOGIT, ItemTower
from millrace.streams.scoring.scorer import PROPOSALS, RANKED

# Below this the encoder's probability tells nothing: a tenth of the uniform one.
_UNIFORM_SHARE = 0.1
_NOTHING = NO_ITEM_LOGIT / 2


class Recommender(keras.layers.Layer):  # type: ignore[misc]
    """Encoder, rating head and ranker behind the tensors of `millrace.streams.scoring.scorer`.

    For serving, the catalogue's vectors and biases are constants; `bake` computes them from the tower.

    Args:
        config: Sizes.
        content: [rows, columns] float32 from `content_matrix`.
        seed: Of initial weights and dropout.
    """

    def __init__(self, config: NetworkConfig, content: NDArray[np.float32], seed: int = 0) -> None:
        super().__init__(name="recommender")
        self.config = config
        self.tower = ItemTower(config, content, seed)
        self.encoder = SequenceEncoder(config, seed + 100)
        self.rating = RatingHead(config)
        self.ranker = FusionRanker(config, seed + 200)
        self.vectors = self.add_weight(
            shape=(config.rows, config.width), initializer="zeros", trainable=False, name="vectors"
        )
        self.bias = self.add_weight(
            shape=(config.rows,),
            initializer=keras.initializers.Constant(NO_ITEM_LOGIT),
            trainable=False,
            name="logit_bias",
        )

    def build(self, input_shape: Any) -> None:
        """Do nothing: every weight is there from the start."""

    def bake(self) -> None:
        """Fix the catalogue's vectors and biases as the tower has them now."""
        vectors, bias = self.tower(ops.arange(self.config.rows), training=False)
        self.vectors.assign(vectors)
        self.bias.assign(bias)

    def hidden(self, inputs: Mapping[str, Any]) -> Any:
        """Return the encoder's last hidden state [B, d]; of a longer history tensor the newest entries are read."""
        newest = slice(-self.config.length, None)
        ages = inputs["history_age"][:, newest]
        ahead = ops.concatenate([ages[:, :-1] - ages[:, 1:], ages[:, -1:]], axis=1)
        history, values = inputs["history"][:, newest], inputs["history_value"][:, newest]
        return self.states(history, values, ages, ahead, queries=1)[:, 0]

    def states(self, history: Any, values: Any, ages: Any, ahead: Any, queries: int) -> Any:
        """Return the encoder's last hidden states [B, queries, d].

        Args:
            history: [B, L] int32 item indexes, newest last.
            values: [B, L] float32 ratings.
            ages: [B, L] float32 seconds before a common moment.
            ahead: [B, L] float32 seconds to the next entry, or to the request.
            queries: Number of last positions wanted.
        """
        vectors = gather(self.vectors, self._rows(history))
        return self.encoder(history, vectors, values, ages, ahead, queries=queries, training=False)

    def logits(self, hidden: Any) -> Any:
        """Return logits [B, rows] over the catalogue."""
        return ops.matmul(hidden, ops.transpose(self.vectors)) + self.bias

    def log_probabilities(self, logits: Any, candidates: Any) -> Any:
        """Return the encoder's log-probability [B, C] of each candidate; uniform for those newer than the version."""
        total = ops.max(logits, axis=1, keepdims=True)
        total = total + ops.log(ops.sum(ops.exp(logits - total), axis=1, keepdims=True))
        own = _pick(logits, self._rows(candidates), self.config.rows) - total
        uniform = 1.0 / self.config.items
        log_prob = ops.log(ops.exp(ops.minimum(own, 0.0)) + _UNIFORM_SHARE * uniform)
        return ops.where(candidates > self.config.items, float(np.log(uniform)), log_prob)

    def call(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Score one micro-batch: the fields of `ScoreRequest` in, those of `ScoreResponse` out."""
        hidden = self.hidden(inputs)
        logits = self.logits(hidden)
        candidates = inputs["candidates"]
        log_prob = self.log_probabilities(logits, candidates)
        ranked = self.ranker(inputs["features"], log_prob, inputs["context"], candidates)
        scores, places = ops.top_k(ranked, RANKED)
        items = _pick(candidates, places, ops.shape(candidates)[1])
        rows = self._rows(items)
        vectors = gather(self.vectors, rows)
        rating = self.rating(
            inputs["history_value"], inputs["history"], inputs["history_age"], inputs["context"], items
        )
        return {
            "items": ops.where(scores > PADDED_SCORE / 2, items, 0),
            "scores": scores,
            "predicted_ratings": rating,
            "because": self._because(inputs["history"], vectors),
            "proposals": self.proposals(logits, inputs["exclude"]),
        }

    def similarities(self, history: Any, vectors: Any) -> Any:
        """Return [B, K, L] what each history entry says for each item; at most 0 where it says nothing."""
        heard = gather(self.vectors, self._rows(history))
        return ops.matmul(vectors, ops.transpose(heard, (0, 2, 1)))

    def masked_logits(self, logits: Any, exclude: Any) -> Any:
        """Return the logits with excluded items out of reach."""
        rows = self.config.rows
        batch = ops.shape(exclude)[0]
        at = self._rows(exclude) + ops.expand_dims(ops.arange(batch), 1) * rows
        at = ops.reshape(at, (-1, 1))
        flat = ops.reshape(logits, (-1,))
        masked = ops.scatter_update(flat, at, ops.zeros_like(at[:, 0], dtype="float32") + NO_ITEM_LOGIT)
        return ops.reshape(masked, (-1, rows))

    def _because(self, history: Any, vectors: Any) -> Any:
        # top_k instead of argmax: Keras's argmax works around a bug with an operator that ONNX does not have.
        best, place = ops.top_k(self.similarities(history, vectors), 1)
        return ops.where(best[..., 0] > 0.0, ops.cast(place[..., 0], "int32"), -1)

    def proposals(self, logits: Any, exclude: Any) -> Any:
        """Return [B, P] the network's own best items outside `exclude`, best first, 0 where fewer."""
        best, items = ops.top_k(self.masked_logits(logits, exclude), PROPOSALS)
        return ops.where(best > _NOTHING, ops.cast(items, "int32"), 0)

    def _rows(self, items: Any) -> Any:
        """Return table rows of item indexes; an item newer than the version has the row of padding."""
        return ops.where(items > self.config.items, 0, items)


def _pick(matrix: Any, columns: Any, width: Any) -> Any:
    """Return matrix[b, columns[b, k]] as [B, K]."""
    first = ops.expand_dims(ops.arange(ops.shape(matrix)[0]), 1) * width
    return gather(ops.reshape(matrix, (-1,)), columns + first)
