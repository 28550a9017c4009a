"""The windows of an encoder refresh."""

import numpy as np

from millrace.model.dataset.windows import Windows

# Most new targets of a refresh; five passes over them and as many old ones are three million targets.
_MOST_TARGETS = 300_000


def refresh_windows(windows: Windows, first: int, replay: float, seed: int) -> Windows:
    """Return the windows with events from row `first` on, and a sample of older ones against forgetting.

    Args:
        windows: Of the whole log.
        first: First row that is not learned yet; if there are too many new windows, the newest are taken.
        replay: Old windows for each new one.
        seed: Seed of the sample.
    """
    new, old = np.flatnonzero(windows.newest >= first), np.flatnonzero(windows.newest < first)
    most = max(_MOST_TARGETS // windows.target.shape[1], 1)
    new = new[np.argsort(-windows.newest[new], kind="stable")[:most]]
    count = min(round(len(new) * replay), len(old))
    replayed = np.random.default_rng([seed, first]).choice(old, count, replace=False)
    return windows.take(np.concatenate([new, replayed]))
