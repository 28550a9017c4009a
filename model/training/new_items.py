"""Items that nobody touched yet: how likely they are, by their content and all together, in closed form."""

import numpy as np
from numpy.typing import NDArray

from millrace.model.dataset.windows import Windows
from millrace.model.network.recommender import Recommender

# Newest share of the log whose first-ever items tell how many there will be.
_NEWEST_SHARE = 0.25
_CONTEXTS = 256
_UNSEEN_BIAS = float(np.log(0.5))
_RIDGE = 20.0
_HALVINGS = 40
_BIAS_BOUND = 30.0


def fit_new_items(recommender: Recommender, windows: Windows) -> None:
    """Set the biases of untrained items: what content says of popularity, and a level that gives them their due.

    The level makes the mean probability of all untrained items together, over the newest states of some users, equal to
    the share of events on first-ever items in the newest part of the log.

    Args:
        recommender: Network; its items in the windows are trained. Baked on return.
        windows: Of the whole log.
    """
    tower, items = recommender.tower, recommender.config.items
    unknown = np.flatnonzero(np.asarray(tower.trained)[: items + 1] == 0)[1:]
    tower.new_bias.assign(0.0)
    tower.new_content.assign(_content_bias(recommender))
    recommender.bake()
    if len(unknown) and len(windows):
        known_sum, unknown_sum = _log_sums(recommender, windows, unknown)
        tower.new_bias.assign(_level(known_sum, unknown_sum, first_touch_share(windows)))
        recommender.bake()


def first_touch_share(windows: Windows) -> float:
    """Return the share of the log's newest events that are the first on their item; at least one event's."""
    given = windows.target_row >= 0
    rows, items = windows.target_row[given], windows.target[given]
    order = np.argsort(rows)
    rows, items = rows[order], items[order]
    _, first = np.unique(items, return_index=True)
    begin = int(len(items) * (1.0 - _NEWEST_SHARE))
    newest = max(len(items) - begin, 1)
    return max(int((first >= begin).sum()), 1) / (newest + 1)


def _content_bias(recommender: Recommender) -> NDArray[np.float32]:
    """Return the ridge regression [columns] of biases on contents; an untrained item counts as half seen."""
    tower, items = recommender.tower, recommender.config.items
    content = np.asarray(tower.content, np.float64)[1 : items + 1]
    trained = np.asarray(tower.trained)[1 : items + 1] > 0
    bias = np.where(trained, np.asarray(tower.bias, np.float64)[1 : items + 1], _UNSEEN_BIAS)
    bias = bias - bias.mean()
    gram = content.T @ content + _RIDGE * np.eye(content.shape[1])
    return np.linalg.solve(gram, content.T @ bias).astype(np.float32)


def _log_sums(
    recommender: Recommender, windows: Windows, unknown: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return [n] logarithms of the summed exponentials of trained and of untrained items after some users' events."""
    some = windows.take(np.argsort(-windows.newest, kind="stable")[:_CONTEXTS])
    hidden = recommender.states(some.history, some.value, some.age, some.ahead * 0.0, 1)[:, 0]
    logits = np.asarray(recommender.logits(hidden), np.float64)[:, : recommender.config.items + 1]
    known = np.setdiff1d(np.arange(1, recommender.config.items + 1), unknown)
    return np.logaddexp.reduce(logits[:, known], axis=1), np.logaddexp.reduce(logits[:, unknown], axis=1)


def _level(known: NDArray[np.float64], unknown: NDArray[np.float64], share: float) -> float:
    """Return b with mean(sigmoid(unknown + b - known)) = share, by bisection."""
    low, high = -_BIAS_BOUND, _BIAS_BOUND
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        mass = 1.0 / (1.0 + np.exp(np.clip(known - unknown - middle, -500, 500)))
        low, high = (middle, high) if mass.mean() < share else (low, middle)
    return (low + high) / 2
