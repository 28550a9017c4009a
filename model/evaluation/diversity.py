"""What diversity costs: the lists of one run, made again from the same rankings at other settings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from millrace.model.evaluation.outcomes import LISTED
from millrace.model.evaluation.system import System

# Every list made again takes as long as its rules took at first; intervals of more are hardly narrower.
_LOOKS = 10_000


@runtime_checkable
class Relists(Protocol):
    """A system that can make its last list again."""

    def relisted(self, diversity: float) -> tuple[int, ...]:
        """Return the items that the last `recommend` would show at another weight of dissimilarity."""
        ...


@dataclass(frozen=True, slots=True)
class DiverseLists:
    """Lists of the same moments at several settings.

    Args:
        settings: [S] weights of dissimilarity.
        events: [M] places among the graded events.
        shown: [S, M, LISTED] int32 items, 0 where fewer.
        targets: [M] int32 the items that followed.
    """

    settings: tuple[float, ...]
    events: NDArray[np.int64]
    shown: NDArray[np.int32]
    targets: NDArray[np.int32]

    @property
    def hits(self) -> NDArray[np.bool_]:
        """[S, M] whether the item that followed was shown."""
        return np.asarray((self.shown == self.targets[None, :, None]).any(axis=2))


class DiversityObserver:
    """Makes every few lists again.

    Args:
        settings: Weights of dissimilarity.
        graded: Events to be graded, about.
    """

    def __init__(self, settings: Sequence[float], graded: int) -> None:
        self._settings = tuple(settings)
        self._every = max(graded // _LOOKS, 1)
        self._asked = 0
        self._events: list[int] = []
        self._targets: list[int] = []
        self._shown: list[list[tuple[int, ...]]] = []

    def observe(self, system: System, target: int) -> None:
        """Make the list just made again at every setting; `target` is the item of the event that follows."""
        place, self._asked = self._asked, self._asked + 1
        if self._settings and place % self._every == 0 and isinstance(system, Relists):
            self._events.append(place)
            self._targets.append(target)
            self._shown.append([system.relisted(setting) for setting in self._settings])

    def lists(self) -> DiverseLists | None:
        """Return what was seen, None if there was nothing to make again."""
        if not self._events:
            return None
        shown = np.zeros((len(self._settings), len(self._events), LISTED), np.int32)
        for event, lists in enumerate(self._shown):
            for setting, items in enumerate(lists):
                shown[setting, event, : len(items)] = items
        return DiverseLists(self._settings, np.array(self._events, np.int64), shown, np.array(self._targets, np.int32))
