"""Trained encoders on disk, shared by systems that learn the same log."""

from pathlib import Path
from typing import Any

import numpy as np

from millrace.model.network.recommender import Recommender


class EncoderCache:
    """Stores encoder weights by the number of events learned.

    An encoder depends only on the log, its configuration and its seed, not on candidates, ranker or list rules.

    Args:
        folder: One per log, configuration and seed; created if missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def load(self, recommender: Recommender, events: int) -> bool:
        """Load the weights for a number of events into a network; returns False if none are stored."""
        path = self._path(events)
        if not path.exists():
            return False
        with np.load(path) as kept:
            for place, variable in enumerate(_variables(recommender)):
                variable.assign(kept[str(place)])
        return True

    def save(self, recommender: Recommender, events: int) -> None:
        """Store the weights of a network that has learned a number of events."""
        unfinished = self._folder / f"{events}.unfinished.npz"
        arrays = {str(place): np.asarray(variable) for place, variable in enumerate(_variables(recommender))}
        np.savez(unfinished, **arrays)
        unfinished.replace(self._path(events))

    def _path(self, events: int) -> Path:
        return self._folder / f"{events}.npz"


def _variables(recommender: Recommender) -> list[Any]:
    """Return all variables except the ranker's, including those of random generators."""
    ranker = {id(variable) for variable in recommender.ranker.variables}
    return [variable for variable in recommender.variables if id(variable) not in ranker]
