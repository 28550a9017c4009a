"""Fitting the rating head: squared error, in closed form."""

import numpy as np
from numpy.typing import NDArray

from model.dataset.windows import Windows
from model.network.rating import MEAN_PRIOR
from model.network.recommender import Recommender

# An item's bias counts as if this many ratings of the average had been seen; likewise for the interaction.
_BIAS_PRIOR = 10.0
_RIDGE = 200.0
_WINDOWS_AT_ONCE = 256


def fit_rating(recommender: Recommender, windows: Windows) -> float:
    """Fit mean, item biases and interaction to the targets of the windows; returns the root mean squared error.

    Args:
        recommender: Baked network.
        windows: Any windows; every target with its rating counts once.
    """
    given = windows.target > 0
    if not given.any():
        return float("nan")
    head, rows = recommender.rating, recommender.config.rows
    mean = float(windows.target_value[given].mean())
    rest = windows.target_value[given] - _user_means(windows, mean)[given]
    items = windows.target[given]
    counts = np.bincount(items, minlength=rows)
    bias = np.bincount(items, rest, minlength=rows) / (counts + _BIAS_PRIOR)
    rest = rest - bias[items]
    products = _products(recommender, windows)[given]
    gram = products.T @ products + _RIDGE * np.eye(products.shape[1])
    mix = np.linalg.solve(gram, products.T @ rest)
    head.mean.assign(mean)
    head.bias.assign(bias.astype(np.float32))
    head.mix.assign(mix.astype(np.float32))
    return float(np.sqrt(np.mean(np.square(rest - products @ mix))))


def _user_means(windows: Windows, mean: float) -> NDArray[np.float32]:
    """Return [W, S] the shrunk mean of the ratings in a window up to each target."""
    targets = windows.target.shape[1]
    total = np.cumsum(windows.value, axis=1)[:, -targets:]
    count = np.cumsum(windows.history > 0, axis=1)[:, -targets:]
    means: NDArray[np.float32] = (total + MEAN_PRIOR * mean) / (count + MEAN_PRIOR)
    return means


def _products(recommender: Recommender, windows: Windows) -> NDArray[np.float32]:
    """Return [W, S, d] the hidden state of each slot times its target's vector."""
    targets = windows.target.shape[1]
    vectors = np.asarray(recommender.vectors)
    out = np.empty((*windows.target.shape, recommender.config.width), np.float32)
    for first in range(0, len(windows), _WINDOWS_AT_ONCE):
        at = slice(first, first + _WINDOWS_AT_ONCE)
        hidden = recommender.states(windows.history[at], windows.value[at], windows.age[at], windows.ahead[at], targets)
        out[at] = np.asarray(hidden) * vectors[windows.target[at]]
    return out
