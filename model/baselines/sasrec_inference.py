"""SASRec for one user at a time, in NumPy: a framework's call costs more than the arithmetic."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
# Kernel and bias of a dense layer; scale and offset of a norm.
Pair = tuple[Floats, Floats]

_NORM_FLOOR = 1e-5


@dataclass(frozen=True, slots=True)
class SasrecConfig:
    """Sizes.

    Args:
        width: d, of item vectors and hidden states.
        blocks: Attention blocks.
        length: L, newest items read.
    """

    width: int = 64
    blocks: int = 2
    length: int = 50


@dataclass(frozen=True, slots=True)
class BlockWeights:
    """Of one block: norms, dense layers."""

    attention_norm: Pair
    query: Pair
    key_value: Pair
    mix: Pair
    forward_norm: Pair
    inner: Pair
    outer: Pair


@dataclass(frozen=True, slots=True)
class SasrecWeights:
    """Of the whole network.

    Args:
        items: [R, d], input and output vectors.
        positions: [L, d], newest last.
        blocks: In order.
        norm: The last one.
    """

    items: Floats
    positions: Floats
    blocks: tuple[BlockWeights, ...]
    norm: Pair


def next_item_logits(weights: SasrecWeights, history: NDArray[np.int32]) -> Floats:
    """Return [R] logits of the item after a history.

    Args:
        weights: Trained.
        history: [H] item rows, oldest first, at least one; the newest L are read.
    """
    length, width = weights.positions.shape
    history = history[-length:]
    x = weights.items[history] * np.float32(width**0.5) + weights.positions[-len(history) :]
    for block in weights.blocks[:-1]:
        x = _block(block, x, len(history))
    x = _block(weights.blocks[-1], x, 1)
    return np.asarray(weights.items @ _norm(weights.norm, x[-1]))


def _block(weights: BlockWeights, x: Floats, queries: int) -> Floats:
    """Return [queries, d] of the last positions."""
    normed = _norm(weights.attention_norm, x)
    key, value = np.split(_dense(weights.key_value, normed), 2, axis=-1)
    scores = _dense(weights.query, normed[-queries:]) @ key.T * np.float32(x.shape[1] ** -0.5)
    if queries > 1:
        scores[np.triu_indices(queries, 1)] = -np.inf
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    x = x[-queries:] + _dense(weights.mix, shares @ value)
    inner = np.maximum(_dense(weights.inner, _norm(weights.forward_norm, x)), 0.0)
    return x + _dense(weights.outer, inner)


def _dense(pair: Pair, x: Floats) -> Floats:
    return x @ pair[0] + pair[1]


def _norm(pair: Pair, x: Floats) -> Floats:
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = np.square(centred).mean(axis=-1, keepdims=True)
    return np.asarray(centred / np.sqrt(variance + np.float32(_NORM_FLOOR)) * pair[0] + pair[1])
