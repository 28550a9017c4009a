"""The scorer: its tensors and its protocol."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

# Shapes every version shares; a version's card repeats them, and a worker refuses a card that differs.
# A version may read fewer: the newest entries.
HISTORY_TENSOR_LENGTH = 100
CANDIDATES = 128
RANKED = 40
PROPOSALS = 32
# `exclude` is padded to the next of these, so that requests of several workers have equal shapes and can be batched.
EXCLUDE_BUCKETS = (64, 256, 1024, 4096, 16384)


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """One micro-batch for one model version; B users. Item index 0 is padding everywhere.

    Args:
        history: [B, L] int32 item indexes, newest last, padded on the left.
        history_value: [B, L] float32, 0.5 to 5, 0 where padded.
        history_age: [B, L] float32 seconds from the entry to now, 0 where padded.
        candidates: [B, C] int32, padded on the right.
        features: [B, C, F] float32, see `millrace.streams.ranking.features.FEATURE_NAMES`.
        context: [B, U] float32, see `millrace.streams.ranking.features.CONTEXT_NAMES`.
        exclude: [B, E] int32 items that may not be proposed (touched, unavailable), padded with 0.
    """

    history: NDArray[np.int32]
    history_value: NDArray[np.float32]
    history_age: NDArray[np.float32]
    candidates: NDArray[np.int32]
    features: NDArray[np.float32]
    context: NDArray[np.float32]
    exclude: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class ScoreResponse:
    """The ranked lists, best first.

    Args:
        items: [B, K] int32; 0 where there were fewer candidates.
        scores: [B, K] float32, never increasing.
        predicted_ratings: [B, K] float32, 0.5 to 5.
        because: [B, K] int32 position in the history tensor that speaks most for the item, -1 for none.
        proposals: [B, P] int32, the network's own best items outside `exclude`, best first; 0 where fewer.
    """

    items: NDArray[np.int32]
    scores: NDArray[np.float32]
    predicted_ratings: NDArray[np.float32]
    because: NDArray[np.int32]
    proposals: NDArray[np.int32]


class Scorer(Protocol):
    """Scores micro-batches; one long-lived object per event loop."""

    async def score(self, version: str, request: ScoreRequest, timeout_s: float) -> ScoreResponse:
        """Score one batch with one model version.

        Raises:
            TransientError: No answer in time, the server is away, or it does not have the version.
        """
        ...

    async def close(self) -> None:
        """Release the connection."""
        ...
