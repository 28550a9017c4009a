"""Fitting the linear fusion: convex and small enough for plain numpy."""

import numpy as np
from numpy.typing import NDArray

from model.dataset.samples import RankerSamples
from streams.ranking import FusionWeights

Floats = NDArray[np.float32]

_BATCH_SAMPLES = 64
_RATE = 0.02
# Pull towards the weights it starts from, which were learned from more than one log slice.
_DECAY = 0.03
_LEAST_SPREAD = 0.05
_ADAM = (0.9, 0.99, 1e-8)


def fit_fusion(start: FusionWeights, samples: RankerSamples, epochs: int, seed: int) -> FusionWeights:
    """Return weights that make what came next likely in a softmax over the candidates (listwise, Adam).

    Args:
        start: Weights to start from; they are also what is fallen back to where there is nothing to learn.
        samples: Those whose target is a candidate are learned.
        epochs: Times each is seen.
        seed: Of their order.
    """
    place = samples.place
    rows = np.flatnonzero(place >= 0)
    if not len(rows):
        return start
    scale = _scale(samples)
    weights = np.vstack([start.weights, start.context_weights]) / scale
    first = weights.copy()
    mean, square = np.zeros_like(weights), np.zeros_like(weights)
    rng = np.random.default_rng(seed)
    batches = [batch for _ in range(epochs) for batch in _batches(rng.permutation(rows))]
    for step, batch in enumerate(batches, start=1):
        gradient = _gradient(weights, samples, place, batch, scale) + _DECAY * (weights - first)
        mean += (1 - _ADAM[0]) * (gradient - mean)
        square += (1 - _ADAM[1]) * (gradient**2 - square)
        rate = _RATE * (1 - step / (len(batches) + 1)) * np.sqrt(1 - _ADAM[1] ** step) / (1 - _ADAM[0] ** step)
        weights -= rate * mean / (np.sqrt(square) + _ADAM[2])
    weights = (weights * scale).astype(np.float32)
    return FusionWeights(weights[0], weights[1:])


def fusion_ranks(fusion: FusionWeights, samples: RankerSamples) -> NDArray[np.int32]:
    """Return [N] the target's place from 0 by linear score, after all candidates if it is none of them."""
    place = samples.place
    ranks = np.full(len(samples), samples.candidates.shape[1], np.int32)
    for row in np.flatnonzero(place >= 0):
        scores = samples.features[row] @ fusion.effective(samples.context[row])
        own = scores[place[row]]
        ranks[row] = ((scores >= own) & (samples.candidates[row] > 0)).sum() - 1
    return ranks


def _batches(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [rows[first : first + _BATCH_SAMPLES] for first in range(0, len(rows), _BATCH_SAMPLES)]


def _gradient(
    weights: NDArray[np.float32],
    samples: RankerSamples,
    place: NDArray[np.int32],
    batch: NDArray[np.int64],
    scale: Floats,
) -> NDArray[np.float32]:
    """Return [1 + U, F] the gradient of the mean cross-entropy: E[phi] - phi(target), by context."""
    phi = samples.features[batch] * scale
    context = np.hstack([np.ones((len(batch), 1), np.float32), samples.context[batch]])
    scores = np.matmul(phi, (context @ weights)[..., None])[..., 0]
    scores = np.where(samples.candidates[batch] > 0, scores, -np.inf)
    share = np.exp(scores - scores.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    expected = np.matmul(share[:, None, :], phi)[:, 0]
    gradient: NDArray[np.float32] = context.T @ (expected - phi[np.arange(len(batch)), place[batch]]) / len(batch)
    return gradient


def _scale(samples: RankerSamples) -> Floats:
    """Return [F] one over the spread of each feature."""
    some = samples.features[:: max(len(samples) // 500, 1)]
    there = samples.candidates[:: max(len(samples) // 500, 1)] > 0
    scale: Floats = (1.0 / np.maximum(some[there].std(axis=0), _LEAST_SPREAD)).astype(np.float32)
    return scale
