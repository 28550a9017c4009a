"""Which windows a refresh of the encoder runs over."""

import numpy as np

from millrace.model.dataset.windows import Windows

# What a refresh has time for: five passes over these and as many old ones see three million targets.
_MOST_TARGETS = 300_000


def refresh_windows(windows: Windows, first: int, replay: float, seed: int) -> Windows:
    """Return the windows that reach into the log from row `first` on, and some of the others against forgetting.

    Args:
        windows: Of the whole log.
        first: First row that was not learned yet. Of more new windows than there is time for, the newest are taken.
        replay: Old windows for each new one.
        seed: Draws the old ones.
    """
    new, old = np.flatnonzero(windows.newest >= first), np.flatnonzero(windows.newest < first)
    most = max(_MOST_TARGETS // windows.target.shape[1], 1)
    new = new[np.argsort(-windows.newest[new], kind="stable")[:most]]
    count = min(round(len(new) * replay), len(old))
    replayed = np.random.default_rng([seed, first]).choice(old, count, replace=False)
    return windows.take(np.concatenate([new, replayed]))
