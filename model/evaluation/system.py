"""The interface of systems that can be evaluated."""

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.user_state import ResolvedEvent, UserState


@dataclass(frozen=True, slots=True)
class Ranking:
    """The list that a user gets.

    Args:
        shown: Items shown, best first.
        ranked: [N] int32 all ranked items, best first; the shown ones may be ordered differently.
    """

    shown: tuple[int, ...]
    ranked: NDArray[np.int32]

    def place_of(self, item: int) -> int:
        """Return the rank of an item from 0: in the shown list, else behind it in the ranking; -1 if in neither."""
        if item in self.shown:
            return self.shown.index(item)
        rest = self.ranked[~np.isin(self.ranked, np.asarray(self.shown, self.ranked.dtype))]
        found = np.flatnonzero(rest == item)
        return len(self.shown) + int(found[0]) if len(found) else -1


@dataclass(slots=True)
class SystemNotes:
    """What a system reports besides its lists.

    Args:
        ratings: Row -> rating predicted for the event's item before it was known.
        seconds: Wall-clock seconds by phase.
        counts: Further counters, by name.
    """

    ratings: dict[int, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)


class System(Protocol):
    """Makes lists and learns event by event.

    Attributes:
        name: Shown in the report.
        lists_from: First row for which `recommend` has to be called, graded or not.
        notes: Complete once `finish` has returned.
    """

    name: str
    lists_from: int
    notes: SystemNotes

    def prepare(self, row: int) -> None:
        """Run the trainings that are due before the event at `row`."""
        ...

    def recommend(self, state: UserState, now_ms: int) -> tuple[Ranking, UserState]:
        """Return the list for a user, and the user's state with what the system stores in it."""
        ...

    def learn(self, row: int, before: UserState, event: ResolvedEvent, first_touch: bool) -> None:
        """Learn an event; from row `lists_from` on, `recommend` has been called for its user before."""
        ...

    def finish(self) -> None:
        """Complete `notes`."""
        ...


class SystemProxy:
    """Forwards every call to another system; base class of those that observe or change some calls.

    Args:
        system: Receives the calls.
    """

    def __init__(self, system: System) -> None:
        self._system = system
        self.name = system.name
        self.lists_from = system.lists_from

    @property
    def notes(self) -> SystemNotes:
        """The notes of the wrapped system."""
        return self._system.notes

    @notes.setter
    def notes(self, notes: SystemNotes) -> None:
        self._system.notes = notes

    def prepare(self, row: int) -> None:
        """Forward to the wrapped system."""
        self._system.prepare(row)

    def recommend(self, state: UserState, now_ms: int) -> tuple[Ranking, UserState]:
        """Forward to the wrapped system."""
        return self._system.recommend(state, now_ms)

    def learn(self, row: int, before: UserState, event: ResolvedEvent, first_touch: bool) -> None:
        """Forward to the wrapped system."""
        self._system.learn(row, before, event, first_touch)

    def finish(self) -> None:
        """Forward to the wrapped system."""
        self._system.finish()


@dataclass(frozen=True, slots=True)
class CandidateFeatures:
    """The candidates and features behind a system's last list.

    Args:
        names: F feature names.
        items: [C] candidates.
        features: [C, F] values.
    """

    names: tuple[str, ...]
    items: NDArray[np.int32]
    features: NDArray[np.float32]


@runtime_checkable
class ShowsFeatures(Protocol):
    """A system that shows the features of its last list."""

    def last_features(self) -> CandidateFeatures | None:
        """Return the features behind the last `recommend`, None if it used none."""
        ...
