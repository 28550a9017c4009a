"""Trained encoders on disk: systems that learn the same log and differ elsewhere train them once."""

from pathlib import Path
from typing import Any

import numpy as np

from millrace.model.network.recommender import Recommender


class EncoderCache:
    """The encoder as it was after each training, under the number of events it had learned.

    An encoder depends on the log, its configuration and its seed alone, not on candidates, ranker or rules.

    Args:
        folder: Of one log, configuration and seed; made if need be.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def load(self, recommender: Recommender, events: int) -> bool:
        """Put the trained weights into a network; returns whether there are any for so many events."""
        path = self._path(events)
        if not path.exists():
            return False
        with np.load(path) as kept:
            for place, variable in enumerate(_variables(recommender)):
                variable.assign(kept[str(place)])
        return True

    def save(self, recommender: Recommender, events: int) -> None:
        """Keep the weights of a network that has learned so many events."""
        unfinished = self._folder / f"{events}.unfinished.npz"
        arrays = {str(place): np.asarray(variable) for place, variable in enumerate(_variables(recommender))}
        np.savez(unfinished, **arrays)
        unfinished.replace(self._path(events))

    def _path(self, events: int) -> Path:
        return self._folder / f"{events}.npz"


def _variables(recommender: Recommender) -> list[Any]:
    """Return everything but the ranker, states of random generators included."""
    ranker = {id(variable) for variable in recommender.ranker.variables}
    return [variable for variable in recommender.variables if id(variable) not in ranker]
