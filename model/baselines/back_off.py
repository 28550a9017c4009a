"""Back-off of the fitted baselines to popularity, for unknown items and before the first fit."""

import numpy as np
from numpy.typing import NDArray

from millrace.model.baselines.popularity import RecentPopularity

# Far below any meaningful difference between scores, and far above their rounding errors.
_TIE_WEIGHT = 1e-6


class BackOff(RecentPopularity):
    """Recent popularity that breaks the ties of a model's scores."""

    def under(self, model: NDArray[np.float64] | None) -> NDArray[np.float64]:
        """Return the model's scores, divided by their largest absolute value, with ties broken by popularity.

        Args:
            model: [M] float64 scores by dense item index, M at least 1; items from M on get the lowest score. None if
                there is no model; the result is then the popularity shares.

        Returns:
            [N] float64 scores by dense item index.
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
