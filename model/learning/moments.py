"""What the ranker learns from: moments with their candidates, in a ring of bounded size."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from millrace.streams.scoring.protocol import ScoreRequest

# The fields of a request that the encoder reads.
HISTORY_INPUTS = ("history", "history_value", "history_age")


@dataclass(frozen=True, slots=True)
class Moment:
    """One request and what came next.

    Args:
        request: B = 1.
        target: Item that came.
        popularity_rank: Place of the target, from 0, in the popularity list of the moment; -1 if nobody looked.
    """

    request: ScoreRequest
    target: int
    popularity_rank: int = -1

    @property
    def place(self) -> int:
        """Place of the target among the candidates, -1 if it is none."""
        found = np.flatnonzero(self.request.candidates[0] == self.target)
        return int(found[0]) if len(found) else -1


@dataclass(frozen=True, slots=True)
class Lessons:
    """N moments as the ranker reads them.

    Args:
        candidates: [N, C] int32.
        features: [N, C, F] float16.
        log_prob: [N, C] float32 of an encoder that had not seen the target.
        context: [N, U] float32.
        place: [N] int32 of the target among the candidates.
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
    """Return moments whose target is a candidate as lessons, None if there are none.

    Args:
        moments: N.
        log_prob: [N, C] of all of them.
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
    """The newest lessons.

    Args:
        size: Most lessons kept.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._lessons: Lessons | None = None
        self._added = 0

    def __len__(self) -> int:
        return min(self._added, self._size)

    def add(self, lessons: Lessons) -> None:
        """Add lessons; the oldest make room."""
        if self._lessons is None:
            self._lessons = _room(lessons, self._size)
        places = (self._added + np.arange(len(lessons))) % self._size
        for name in Lessons.__slots__:
            getattr(self._lessons, name)[places] = getattr(lessons, name)
        self._added += len(lessons)

    def draw(self, count: int, rng: np.random.Generator) -> Lessons:
        """Return up to `count` different lessons at random; there must be one."""
        if self._lessons is None:
            raise ValueError("There are no lessons to draw from.")
        return self._lessons.take(rng.choice(len(self), min(count, len(self)), replace=False))


def _room(like: Lessons, size: int) -> Lessons:
    columns = {name: getattr(like, name) for name in Lessons.__slots__}
    return Lessons(**{name: np.zeros((size, *column.shape[1:]), column.dtype) for name, column in columns.items()})
