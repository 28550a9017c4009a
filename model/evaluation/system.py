"""What the evaluation asks of anything that makes lists."""

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.user_state import ResolvedEvent, UserState


@dataclass(frozen=True, slots=True)
class Ranking:
    """What a user gets.

    Args:
        shown: Items shown, best first.
        ranked: All ranked items, best first; those shown may stand in another order.
    """

    shown: tuple[int, ...]
    ranked: NDArray[np.int32]

    def place_of(self, item: int) -> int:
        """Return the place of an item from 0: in what is shown, else behind it in the ranking; -1 for neither."""
        if item in self.shown:
            return self.shown.index(item)
        rest = self.ranked[~np.isin(self.ranked, np.asarray(self.shown, self.ranked.dtype))]
        found = np.flatnonzero(rest == item)
        return len(self.shown) + int(found[0]) if len(found) else -1


@dataclass(slots=True)
class SystemNotes:
    """What a system has to say besides its lists.

    Args:
        ratings: Row -> rating predicted for the event's item before it was known.
        seconds: Wall-clock seconds by phase.
        counts: Anything counted, by name.
    """

    ratings: dict[int, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)


class System(Protocol):
    """Makes lists and learns from what happened, event by event.

    Attributes:
        name: Shown in the report.
        lists_from: First row for which `recommend` has to be called, graded or not.
        notes: Complete after `finish`.
    """

    name: str
    lists_from: int
    notes: SystemNotes

    def prepare(self, row: int) -> None:
        """Do what is due before the event at `row`: trainings at their rhythm."""
        ...

    def recommend(self, state: UserState, now_ms: int) -> tuple[Ranking, UserState]:
        """Return what the user would be shown, and the state with what the system keeps with the user."""
        ...

    def learn(self, row: int, before: UserState, event: ResolvedEvent, first_touch: bool) -> None:
        """Learn an event; `recommend` was called for this user's list before, unless lists are not wanted yet."""
        ...

    def finish(self) -> None:
        """Complete `notes`."""
        ...


class SystemProxy:
    """A system behind another one, which changes some of what is asked of it.

    Args:
        system: Answers.
    """

    def __init__(self, system: System) -> None:
        self._system = system
        self.name = system.name
        self.lists_from = system.lists_from

    @property
    def notes(self) -> SystemNotes:
        """What the system has to say."""
        return self._system.notes

    @notes.setter
    def notes(self, notes: SystemNotes) -> None:
        self._system.notes = notes

    def prepare(self, row: int) -> None:
        """Pass on."""
        self._system.prepare(row)

    def recommend(self, state: UserState, now_ms: int) -> tuple[Ranking, UserState]:
        """Pass on."""
        return self._system.recommend(state, now_ms)

    def learn(self, row: int, before: UserState, event: ResolvedEvent, first_touch: bool) -> None:
        """Pass on."""
        self._system.learn(row, before, event, first_touch)

    def finish(self) -> None:
        """Pass on."""
        self._system.finish()


@dataclass(frozen=True, slots=True)
class CandidateFeatures:
    """What a system ranked by when it last made a list.

    Args:
        names: Of the F features.
        items: [C] candidates.
        features: [C, F] values.
    """

    names: tuple[str, ...]
    items: NDArray[np.int32]
    features: NDArray[np.float32]


@runtime_checkable
class ShowsFeatures(Protocol):
    """A system whose features can be looked at."""

    def last_features(self) -> CandidateFeatures | None:
        """Return the features behind the last `recommend`, None if it used none."""
        ...
