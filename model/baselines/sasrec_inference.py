"""SASRec inference for one user at a time, in NumPy, because a framework's call overhead exceeds the arithmetic."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
# Kernel and bias of a dense layer, or scale and offset of a layer norm.
Pair = tuple[Floats, Floats]

_NORM_FLOOR = 1e-5


@dataclass(frozen=True, slots=True)
class SasrecConfig:
    """Sizes of the network.

    Args:
        width: d, width of item vectors and hidden states.
        blocks: Number of attention blocks, at least 1.
        length: L, number of newest items that are read.
    """

    width: int = 64
    blocks: int = 2
    length: int = 50


@dataclass(frozen=True, slots=True)
class BlockWeights:
    """The weights of one attention block.

    Args:
        attention_norm: Scale and offset, [d] each, of the norm before the attention.
        query: Kernel [d, d] and bias [d] of the queries.
        key_value: Kernel [d, 2 d] and bias [2 d] of the keys, then the values.
        mix: Kernel [d, d] and bias [d] of the attention's output.
        forward_norm: Scale and offset, [d] each, of the norm before the position-wise network.
        inner: Kernel [d, d] and bias [d] of its first layer.
        outer: Kernel [d, d] and bias [d] of its second layer.
    """

    attention_norm: Pair
    query: Pair
    key_value: Pair
    mix: Pair
    forward_norm: Pair
    inner: Pair
    outer: Pair


@dataclass(frozen=True, slots=True)
class SasrecWeights:
    """The weights of the whole network.

    Args:
        items: [R, d] float32 item vectors, used for input and output; row 0 is padding.
        positions: [L, d] float32 position vectors, newest last.
        blocks: Weights of the blocks, in order.
        norm: Scale and offset, [d] each, of the norm after the last block.
    """

    items: Floats
    positions: Floats
    blocks: tuple[BlockWeights, ...]
    norm: Pair


def next_item_logits(weights: SasrecWeights, history: NDArray[np.int32]) -> Floats:
    """Compute the logits of the next item after a history.

    Args:
        weights: Weights of a trained network.
        history: [H] int32 rows of the item table, oldest first, H at least 1; the newest L are read.

    Returns:
        [R] float32 logits.
    """
    length, width = weights.positions.shape
    history = history[-length:]
    x = weights.items[history] * np.float32(width**0.5) + weights.positions[-len(history) :]
    for block in weights.blocks[:-1]:
        x = _block(block, x, len(history))
    x = _block(weights.blocks[-1], x, 1)
    return np.asarray(weights.items @ _norm(weights.norm, x[-1]))


def _block(weights: BlockWeights, x: Floats, queries: int) -> Floats:
    """Return the hidden states of the last `queries` positions, [queries, d] float32; `x` is [H, d] float32."""
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
