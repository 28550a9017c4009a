"""Sequels and other items whose titles share rare words."""

import math

import numpy as np
from numpy.typing import NDArray

from streams.catalogue import Catalogue

# A word carried by more items than this relates nothing.
_COMMON_WORD = 25
_RELATIVES_PER_ITEM = 12
_NONE: NDArray[np.int32] = np.empty(0, np.int32)


class TitleRelatives:
    """Items related by title, looked up per item and remembered until the catalogue changes.

    Args:
        catalogue: Where the titles are.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._known: dict[int, NDArray[np.int32]] = {}
        self._sequence = -1

    def of(self, items: NDArray[np.int32], number: int) -> tuple[NDArray[np.int32], ...]:
        """Return the relatives of each of `number` items, closest first; of none beyond the end of `items`."""
        if self._sequence != self._catalogue.sequence:
            self._known.clear()
            self._sequence = self._catalogue.sequence
        found = [self._of_one(item) for item in items[:number].tolist()]
        return (*found, *(_NONE,) * (number - len(found)))

    def _of_one(self, item: int) -> NDArray[np.int32]:
        known = self._known.get(item)
        if known is None:
            known = self._known[item] = self._look_up(item)
        return known

    def _look_up(self, item: int) -> NDArray[np.int32]:
        catalogue = self._catalogue
        shared: dict[int, float] = {}
        for token in catalogue.tokens[item].tolist():
            carriers = catalogue.items_with_token(token)
            if token == 0 or not 2 <= len(carriers) <= _COMMON_WORD:
                continue
            for other in carriers:
                shared[other] = shared.get(other, 0.0) + math.log(len(catalogue) / len(carriers))
        shared.pop(item, None)
        best = sorted(shared, key=lambda other: (-shared[other], other))[:_RELATIVES_PER_ITEM]
        return np.array(best, np.int32)
