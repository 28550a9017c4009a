"""The kernel behind `Popularity.learn`."""

import numpy as np
from numpy.typing import NDArray

from millrace.streams.compiled import compiled


@compiled
def learn_popularity(
    item: int,
    value: float,
    bucket: int,
    clock: int,
    weight: float,
    decays: NDArray[np.float64],
    bucket_decay: float,
    counts: NDArray[np.int64],
    decayed: NDArray[np.float32],
    by_history: NDArray[np.float32],
    value_sums: NDArray[np.float64],
    last_clock: NDArray[np.int64],
    first_clock: NDArray[np.int64],
) -> None:
    """Fade an item's counts to `clock` and count one event of some weight; the arrays are those of `Popularity`."""
    past = float(clock - last_clock[item])
    for place in range(len(decays)):
        decayed[item, place] = decayed[item, place] * np.exp(-past / decays[place]) + weight
    fade = np.exp(-past / bucket_decay)
    for place in range(by_history.shape[1]):
        by_history[item, place] *= fade
    by_history[item, bucket] += weight
    if counts[item] == 0:
        first_clock[item] = clock
    counts[item] += 1
    value_sums[item] += value
    last_clock[item] = clock
