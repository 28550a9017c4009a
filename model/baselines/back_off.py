"""What a fitted baseline says of items it knows nothing about, and of everything before its first fit."""

import numpy as np
from numpy.typing import NDArray

from millrace.model.baselines.popularity import RecentPopularity

# Small against any score that means something, large against its rounding errors.
_TIE_WEIGHT = 1e-6


class BackOff(RecentPopularity):
    """Recent popularity, deciding only where a model has no opinion."""

    def under(self, model: NDArray[np.float64] | None) -> NDArray[np.float64]:
        """Return [N] scores: the model's in units of their largest size, popularity ordering its equals.

        Args:
            model: [at most N] scores by item index, not empty; items beyond count as its lowest. None before there is
                a model.
        """
        shares = self.shares
        if model is None:
            return shares
        lowest = float(model.min())
        scores = np.full(max(len(shares), len(model)), lowest)
        scores[: len(model)] = model
        largest = max(float(model.max()), -lowest)
        if largest > 0.0:
            scores /= largest
        scores[: len(shares)] += _TIE_WEIGHT * shares
        return scores
