"""The kernel behind `OnlineFusion.learn`."""

import numpy as np
from numpy.typing import NDArray

from millrace.streams.compiled import compiled

_GRADIENT_LIMIT = 6.0
# Least spread of a feature: bounds the steps of one that hardly differs within a list.
_LEAST_SPREAD = 0.05
# Spreads are means over the lists so far, later over about as many as this.
_SPREAD_LISTS = 1_000
# A target far down the list cannot enter the shown places soon: its step shrinks by half at twice this rank.
_SHOWN = 10.0


@compiled
def learn_fusion(
    features: NDArray[np.float32],
    context: NDArray[np.float32],
    target: int,
    rate: float,
    context_rate: float,
    lists: int,
    spreads: NDArray[np.float64],
    squares: NDArray[np.float64],
    context_squares: NDArray[np.float64],
    weights: NDArray[np.float32],
    context_weights: NDArray[np.float32],
) -> None:
    """Take one AdaGrad step on the log-likelihood of the target in a softmax over the candidates.

    Args:
        features: [C, F].
        context: [U].
        target: Place of the item that was taken.
        rate: Step size of `weights`.
        context_rate: Step size of `context_weights`.
        lists: Lists learned from, this one included.
        spreads: [F] mean standard deviation of each feature within a list; updated.
        squares: [F] AdaGrad's sums; updated.
        context_squares: [U, F] the same; updated.
        weights: [F]; updated.
        context_weights: [U, F]; updated.
    """
    candidates, number = features.shape
    effective = weights.astype(np.float64)
    for place in range(len(context)):
        if context[place] != 0.0:
            effective += context[place] * context_weights[place]
    scores = np.zeros(candidates)
    means, second = np.zeros(number), np.zeros(number)
    for candidate in range(candidates):
        row = features[candidate]
        total = 0.0
        for feature in range(number):
            value = float(row[feature])
            total += effective[feature] * value
            means[feature] += value
            second[feature] += value * value
        scores[candidate] = total
    above = 0
    for candidate in range(candidates):
        above += scores[candidate] > scores[target]
    importance = 1.0 / (1.0 + max(0.0, above - _SHOWN) / _SHOWN)
    chances = np.exp(scores - scores.max())
    chances /= chances.sum()
    gradient = features[target].astype(np.float64)
    for candidate in range(candidates):
        for feature in range(number):
            gradient[feature] -= chances[candidate] * features[candidate, feature]
    newest = max(1.0 / lists, 1.0 / _SPREAD_LISTS)
    for feature in range(number):
        mean = means[feature] / candidates
        spread = np.sqrt(max(second[feature] / candidates - mean * mean, 0.0))
        spreads[feature] += newest * (spread - spreads[feature])
        unit = 1.0 / max(spreads[feature], _LEAST_SPREAD)
        step = min(max(importance * gradient[feature] * unit, -_GRADIENT_LIMIT), _GRADIENT_LIMIT)
        squares[feature] += step * step
        weights[feature] += rate * unit * step / np.sqrt(squares[feature])
        if context_rate > 0.0:
            for place in range(len(context)):
                if context[place] != 0.0:
                    inner = step * context[place]
                    context_squares[place, feature] += inner * inner
                    context_weights[place, feature] += (
                        context_rate * unit * inner / np.sqrt(context_squares[place, feature])
                    )


@compiled
def weights_in_context(
    weights: NDArray[np.float32], context_weights: NDArray[np.float32], context: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return weights [F] + context [U] . context_weights [U, F]; most of a context is 0."""
    effective = weights.astype(np.float64)
    for place in range(len(context)):
        if context[place] != 0.0:
            for feature in range(len(weights)):
                effective[feature] += context[place] * context_weights[place, feature]
    return effective.astype(np.float32)
