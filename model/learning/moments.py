"""Training examples of the ranker: requests with the item that followed, and a replay buffer of bounded size."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from millrace.streams.scoring.scorer import ScoreRequest

# The fields of a request that the encoder reads.
HISTORY_INPUTS = ("history", "history_value", "history_age")


@dataclass(frozen=True, slots=True)
class Moment:
    """One request and the item that its user took next.

    Args:
        request: The request, with B = 1.
        target: Dense index of the item that followed.
        popularity_rank: Rank of the target, from 0, in the popularity list at that time; -1 if not computed.
    """

    request: ScoreRequest
    target: int
    popularity_rank: int = -1

    @property
    def place(self) -> int:
        """Position of the target among the candidates, -1 if it is not among them."""
        found = np.flatnonzero(self.request.candidates[0] == self.target)
        return int(found[0]) if len(found) else -1


@dataclass(frozen=True, slots=True)
class Lessons:
    """N moments as columns, the input of the ranker's training.

    Args:
        candidates: [N, C] int32.
        features: [N, C, F] float16.
        log_prob: [N, C] float32 log-probability of each candidate, by an encoder that had not learned the target.
        context: [N, U] float32.
        place: [N] int32 position of the target among the candidates.
    """

    candidates: NDArray[np.int32]
    features: NDArray[np.float16]
    log_prob: NDArray[np.float32]
    context: NDArray[np.float32]
    place: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.place)

    def take(self, rows: NDArray[np.int64]) -> "Lessons":
        """Return the lessons at `rows`."""
        return Lessons(
            self.candidates[rows], self.features[rows], self.log_prob[rows], self.context[rows], self.place[rows]
        )


def lessons_of(moments: Sequence[Moment], log_prob: NDArray[np.float32]) -> Lessons | None:
    """Return the moments whose target is a candidate, as columns; None if there are none.

    Args:
        moments: N moments.
        log_prob: [N, C] float32 encoder log-probabilities of their candidates.
    """
    kept = [number for number, moment in enumerate(moments) if moment.place >= 0]
    if not kept:
        return None
    requests = [moments[number].request for number in kept]
    return Lessons(
        np.concatenate([request.candidates for request in requests]),
        np.concatenate([request.features for request in requests]).astype(np.float16),
        log_prob[kept],
        np.concatenate([request.context for request in requests]),
        np.array([moments[number].place for number in kept], np.int32),
    )


class LessonRing:
    """A replay buffer of the newest lessons.

    Args:
        size: Most lessons to hold.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._lessons: Lessons | None = None
        self._added = 0

    def __len__(self) -> int:
        return min(self._added, self._size)

    def add(self, lessons: Lessons) -> None:
        """Add lessons; beyond `size`, they replace the oldest."""
        if self._lessons is None:
            self._lessons = _room(lessons, self._size)
        places = (self._added + np.arange(len(lessons))) % self._size
        for name in Lessons.__slots__:
            getattr(self._lessons, name)[places] = getattr(lessons, name)
        self._added += len(lessons)

    def draw(self, count: int, rng: np.random.Generator) -> Lessons:
        """Return up to `count` distinct lessons at random.

        Raises:
            ValueError: The buffer is empty.
        """
        if self._lessons is None:
            raise ValueError("There are no lessons to draw from.")
        return self._lessons.take(rng.choice(len(self), min(count, len(self)), replace=False))


def _room(like: Lessons, size: int) -> Lessons:
    columns = {name: getattr(like, name) for name in Lessons.__slots__}
    return Lessons(**{name: np.zeros((size, *column.shape[1:]), column.dtype) for name, column in columns.items()})
