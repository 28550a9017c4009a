"""A MovieLens data set in memory: compact arrays, replayed in time order."""

import random
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path

from millrace.kernel.contracts import ActivityEvent, CatalogueItem
from millrace.kernel.contracts.event import RATING
from millrace.kernel.errors import ConfigurationError
from millrace.producers.movielens.readers import detect_reader
from millrace.producers.movielens.users import UserFacts, read_users


class MovieLensData:
    """Items and ratings; ratings are kept in replay order (24 bytes each, so 25 million fit in 600 MB).

    Args:
        items: The catalogue in file order.
        users: MovieLens user numbers, one per rating.
        movies: MovieLens movie numbers.
        values: Ratings, 0.5 to 5.
        times_s: Seconds since 1970.
        facts: What is known of users by their id; empty where the data says nothing.
    """

    def __init__(
        self,
        items: list[CatalogueItem],
        users: "array[int]",
        movies: "array[int]",
        values: "array[float]",
        times_s: "array[int]",
        facts: Mapping[str, UserFacts] | None = None,
    ) -> None:
        self.items = items
        self.users: Mapping[str, UserFacts] = facts or {}
        self._users = users
        self._movies = movies
        self._values = values
        self._times_s = times_s

    def __len__(self) -> int:
        return len(self._users)

    def bounds(self, start: float = 0.0, stop: float = 1.0) -> tuple[int, int]:
        """Return the positions of the first event at `start` and past the last one before `stop`.

        Raises:
            ConfigurationError: The fractions are not 0 <= start <= stop <= 1.
        """
        if not 0.0 <= start <= stop <= 1.0:
            raise ConfigurationError(f"The part from {start} to {stop} is not within 0 to 1.")
        return round(start * len(self)), round(stop * len(self))

    def events(self, start: float = 0.0, stop: float = 1.0) -> Iterator[ActivityEvent]:
        """Yield the ratings of one part of the data in replay order.

        Args:
            start: Fraction of the ratings to leave out at the beginning.
            stop: Fraction at which to end.

        Raises:
            ConfigurationError: The fractions are not 0 <= start <= stop <= 1.
        """
        return self.slice(*self.bounds(start, stop))

    def slice(self, first: int, last: int) -> Iterator[ActivityEvent]:
        """Yield the ratings at positions `first` (included) to `last` (excluded) in replay order."""
        for position in range(first, min(last, len(self))):
            user, movie = self._users[position], self._movies[position]
            yield ActivityEvent(
                # A user rates a movie once in MovieLens, so a repeated replay repeats the ids.
                event_id=f"ml-{user}-{movie}",
                user_id=str(user),
                item_id=str(movie),
                type=RATING,
                value=self._values[position],
                ts_ms=self._times_s[position] * 1000,
            )


def load_movielens(path: str | Path, seed: int = 0) -> MovieLensData:
    """Read a MovieLens folder: ml-latest-small / ml-25m, ml-1m or ml-100k.

    Args:
        path: The folder with the data files.
        seed: Orders ratings of the same second: file order would tell the future (half of ml-1m is ties).

    Raises:
        ConfigurationError: The folder is missing, empty, of an unknown format or has a broken line.
    """
    folder = Path(path)
    reader = detect_reader(folder)
    items = list(reader.items(folder))
    users, movies, times_s = array("i"), array("i"), array("q")
    values = array("d")
    for rating in reader.ratings(folder):
        users.append(rating.user)
        movies.append(rating.item)
        values.append(rating.value)
        times_s.append(rating.ts_s)
    if not users:
        raise ConfigurationError(f"The file {folder / reader.ratings_file} holds no ratings.")
    order = _replay_order(times_s, seed)
    return MovieLensData(
        items,
        array("i", (users[position] for position in order)),
        array("i", (movies[position] for position in order)),
        array("d", (values[position] for position in order)),
        array("q", (times_s[position] for position in order)),
        read_users(folder),
    )


def _replay_order(times_s: "array[int]", seed: int) -> list[int]:
    """Return positions by time; a stable sort of a shuffled list leaves ties in shuffled order."""
    order = list(range(len(times_s)))
    random.Random(seed).shuffle(order)
    order.sort(key=times_s.__getitem__)
    return order
