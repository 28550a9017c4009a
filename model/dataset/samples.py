"""What the ranker learns from: candidates with their features as serving would have had them, and what came next."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

NOT_A_CANDIDATE = -1


@dataclass(frozen=True, slots=True)
class RankerSamples:
    """N moments of the log, in order; index 0 is padding.

    Args:
        history: [N, L] int32, newest last.
        history_value: [N, L] float32.
        history_age: [N, L] float32 seconds before the request.
        candidates: [N, C] int32.
        features: [N, C, F] float16 or float32.
        context: [N, U] float32.
        target: [N] int32 item that came next.
        popularity_rank: [N] int32 place of the target, from 0, in the popularity list of the moment.
    """

    history: NDArray[np.int32]
    history_value: NDArray[np.float32]
    history_age: NDArray[np.float32]
    candidates: NDArray[np.int32]
    features: NDArray[np.floating[Any]]
    context: NDArray[np.float32]
    target: NDArray[np.int32]
    popularity_rank: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.target)

    @property
    def place(self) -> NDArray[np.int32]:
        """[N] place of the target among the candidates, NOT_A_CANDIDATE where it is none."""
        found = self.candidates == self.target[:, None]
        return np.where(found.any(axis=1), found.argmax(axis=1), NOT_A_CANDIDATE).astype(np.int32)

    def part(self, first: int, last: int) -> "RankerSamples":
        """Return samples `first` (included) to `last` (excluded)."""
        return RankerSamples(
            self.history[first:last],
            self.history_value[first:last],
            self.history_age[first:last],
            self.candidates[first:last],
            self.features[first:last],
            self.context[first:last],
            self.target[first:last],
            self.popularity_rank[first:last],
        )
