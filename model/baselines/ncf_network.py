"""NeuMF: generalised matrix factorisation beside a perceptron, with its gradient, in NumPy.

He et al., "Neural Collaborative Filtering", WWW 2017. The network is so small that a framework would spend its time on
calls, and single users are trained while the stream runs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# The paper's smallest: 8 predictive factors in either branch, a tower of 32, 16 and 8 units.
FACTORS = 8
EMBEDDED = 16
HIDDEN = 16
WIDTH = FACTORS + EMBEDDED
_INITIAL_SPREAD = 0.05


@dataclass(frozen=True, slots=True)
class Weights:
    """What users and items share.

    Args:
        first: [2 EMBEDDED, HIDDEN] from the embeddings of user and item.
        first_bias: [HIDDEN].
        second: [HIDDEN, FACTORS].
        second_bias: [FACTORS].
        last: [2 FACTORS] from the product of the factors, then from the perceptron.
        last_bias: [1].
    """

    first: Floats
    first_bias: Floats
    second: Floats
    second_bias: Floats
    last: Floats
    last_bias: Floats

    def all(self) -> tuple[Floats, ...]:
        """Return every array, in the order of the fields."""
        return (self.first, self.first_bias, self.second, self.second_bias, self.last, self.last_bias)


@dataclass(frozen=True, slots=True)
class Gradient:
    """Of a mean loss over a batch: by the embeddings of the batch, and by the shared weights."""

    users: Floats
    items: Floats
    weights: Weights


def initial_weights(rng: np.random.Generator) -> Weights:
    """Return Glorot-uniform matrices and zero biases."""

    def glorot(rows: int, columns: int) -> Floats:
        limit = np.sqrt(6.0 / (rows + columns))
        return rng.uniform(-limit, limit, (rows, columns)).astype(np.float32)

    return Weights(
        glorot(2 * EMBEDDED, HIDDEN),
        np.zeros(HIDDEN, np.float32),
        glorot(HIDDEN, FACTORS),
        np.zeros(FACTORS, np.float32),
        glorot(2 * FACTORS, 1)[:, 0],
        np.zeros(1, np.float32),
    )


def initial_embeddings(rows: int, rng: np.random.Generator) -> Floats:
    """Return [rows, WIDTH]: factors first, then the perceptron's input."""
    return rng.normal(0.0, _INITIAL_SPREAD, (rows, WIDTH)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class PreparedItems:
    """What the logits need of items, computed once for many users.

    Args:
        factors: [N, FACTORS].
        hidden: [N, HIDDEN] the items' share of the first hidden layer.
    """

    factors: Floats
    hidden: Floats


def prepare_items(items: Floats, weights: Weights) -> PreparedItems:
    """Return what `logits` needs of [N, WIDTH] embeddings."""
    hidden = items[:, FACTORS:] @ weights.first[EMBEDDED:] + weights.first_bias
    return PreparedItems(np.ascontiguousarray(items[:, :FACTORS]), hidden)


def logits(user: Floats, items: PreparedItems, weights: Weights) -> Floats:
    """Return [N] logits of one user's embedding [WIDTH] with those of items."""
    hidden = items.hidden + user[FACTORS:] @ weights.first[:EMBEDDED]
    tower = np.maximum(hidden, 0.0, out=hidden) @ weights.second
    tower += weights.second_bias
    product = items.factors @ (user[:FACTORS] * weights.last[:FACTORS])
    return np.asarray(product + np.maximum(tower, 0.0, out=tower) @ weights.last[FACTORS:] + weights.last_bias)


def gradient(users: Floats, items: Floats, labels: Floats, weights: Weights) -> Gradient:
    """Return the gradient of the mean binary cross-entropy.

    Args:
        users: [B, WIDTH] embeddings.
        items: [B, WIDTH] embeddings.
        labels: [B], 1 where the user touched the item, 0 where it was drawn.
        weights: Shared weights.
    """
    inputs = np.concatenate([users[:, FACTORS:], items[:, FACTORS:]], axis=1)
    hidden = np.maximum(inputs @ weights.first + weights.first_bias, 0.0)
    tower = np.maximum(hidden @ weights.second + weights.second_bias, 0.0)
    product = users[:, :FACTORS] * items[:, :FACTORS]
    top = np.concatenate([product, tower], axis=1)
    # The logistic function as a tangent, which cannot overflow.
    chance = 0.5 + 0.5 * np.tanh(0.5 * (top @ weights.last + weights.last_bias))
    by_logit = (chance - labels) / np.float32(len(labels))
    by_top = by_logit[:, None] * weights.last
    by_tower = by_top[:, FACTORS:] * (tower > 0)
    by_hidden = (by_tower @ weights.second.T) * (hidden > 0)
    by_inputs = by_hidden @ weights.first.T
    by_product = by_top[:, :FACTORS]
    return Gradient(
        np.concatenate([by_product * items[:, :FACTORS], by_inputs[:, :EMBEDDED]], axis=1),
        np.concatenate([by_product * users[:, :FACTORS], by_inputs[:, EMBEDDED:]], axis=1),
        Weights(
            inputs.T @ by_hidden,
            by_hidden.sum(axis=0),
            hidden.T @ by_tower,
            by_tower.sum(axis=0),
            top.T @ by_logit,
            by_logit.sum(keepdims=True),
        ),
    )
