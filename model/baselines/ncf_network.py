"""NeuMF and its gradient in NumPy: generalised matrix factorisation next to a multilayer perceptron.

It uses NumPy because the network is small and single users are trained during the stream, so that the call overhead of
a framework would dominate.

He et al., "Neural Collaborative Filtering", WWW 2017.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# The smallest network of the paper: 8 predictive factors in each branch, and a perceptron of 32, 16 and 8 units.
FACTORS = 8
EMBEDDED = 16
HIDDEN = 16
WIDTH = FACTORS + EMBEDDED
_INITIAL_SPREAD = 0.05


@dataclass(frozen=True, slots=True)
class Weights:
    """The float32 weights shared by all users and items.

    Args:
        first: [2 EMBEDDED, HIDDEN] first layer of the perceptron; rows of the user's embedding, then of the item's.
        first_bias: [HIDDEN] bias of the first layer.
        second: [HIDDEN, FACTORS] second layer of the perceptron.
        second_bias: [FACTORS] bias of the second layer.
        last: [2 FACTORS] output weights; of the product of the factors, then of the perceptron.
        last_bias: [1] output bias.
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
    """The gradient of the mean loss over a batch.

    Args:
        users: [B, WIDTH] float32 gradient with respect to the user embedding of each pair.
        items: [B, WIDTH] float32 gradient with respect to the item embedding of each pair.
        weights: Gradient with respect to the shared weights.
    """

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
    """Return random embeddings, [rows, WIDTH] float32: FACTORS columns, then EMBEDDED columns for the perceptron."""
    return rng.normal(0.0, _INITIAL_SPREAD, (rows, WIDTH)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class PreparedItems:
    """The part of the logits that depends only on the items, computed once for many users.

    Args:
        factors: [N, FACTORS] float32 factors of the items.
        hidden: [N, HIDDEN] float32 contribution of the items and the bias to the first hidden layer.
    """

    factors: Floats
    hidden: Floats


def prepare_items(items: Floats, weights: Weights) -> PreparedItems:
    """Precompute the items' part of the logits.

    Args:
        items: [N, WIDTH] float32 item embeddings.
        weights: Shared weights.
    """
    hidden = items[:, FACTORS:] @ weights.first[EMBEDDED:] + weights.first_bias
    return PreparedItems(np.ascontiguousarray(items[:, :FACTORS]), hidden)


def logits(user: Floats, items: PreparedItems, weights: Weights) -> Floats:
    """Return the logits of all items for one user.

    Args:
        user: [WIDTH] float32 embedding of the user.
        items: Precomputed part of the N items.
        weights: Shared weights.

    Returns:
        [N] float32 logits.
    """
    hidden = items.hidden + user[FACTORS:] @ weights.first[:EMBEDDED]
    tower = np.maximum(hidden, 0.0, out=hidden) @ weights.second
    tower += weights.second_bias
    product = items.factors @ (user[:FACTORS] * weights.last[:FACTORS])
    return np.asarray(product + np.maximum(tower, 0.0, out=tower) @ weights.last[FACTORS:] + weights.last_bias)


def gradient(users: Floats, items: Floats, labels: Floats, weights: Weights) -> Gradient:
    """Return the gradient of the mean binary cross-entropy over a batch of user-item pairs.

    Args:
        users: [B, WIDTH] float32 user embedding of each pair.
        items: [B, WIDTH] float32 item embedding of each pair.
        labels: [B] float32, 1 where the user touched the item, 0 for a sampled negative.
        weights: Shared weights.
    """
    inputs = np.concatenate([users[:, FACTORS:], items[:, FACTORS:]], axis=1)
    hidden = np.maximum(inputs @ weights.first + weights.first_bias, 0.0)
    tower = np.maximum(hidden @ weights.second + weights.second_bias, 0.0)
    product = users[:, :FACTORS] * items[:, :FACTORS]
    top = np.concatenate([product, tower], axis=1)
    # The logistic function, written with tanh so that it cannot overflow.
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
