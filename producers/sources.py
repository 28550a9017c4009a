"""The sources of a replay, and the position at which an interrupted one is resumed."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

from millrace.kernel.contracts import ActivityEvent, CatalogueItem
from millrace.kernel.errors import ConfigurationError
from millrace.producers.activities import as_activities, kinds_of
from millrace.producers.movielens import MovieLensData, load_movielens
from millrace.producers.synthetic import SyntheticStream, parse_synthetic


@dataclass(frozen=True, slots=True)
class ReplayState:
    """The file that stores the position of an interrupted replay."""

    path: Path

    def read(self) -> int:
        """Return the position to resume at.

        Raises:
            ConfigurationError: There is no interrupted replay of this source.
        """
        try:
            return int(json.loads(self.path.read_text())["position"])
        except (OSError, ValueError, KeyError, TypeError):
            raise ConfigurationError(
                "There is no interrupted replay of this data to resume; start it without --resume."
            ) from None

    def write(self, position: int) -> None:
        """Store that Kafka has confirmed every event before `position`."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(json.dumps({"position": position}))
        temporary.replace(self.path)

    def clear(self) -> None:
        """Delete the position: the replay is complete."""
        self.path.unlink(missing_ok=True)


class Source(Protocol):
    """Items and events in replay order."""

    identity: str
    items: Sequence[CatalogueItem]
    total: int

    def events(self, position: int, on_new_item: Callable[[CatalogueItem], object]) -> Iterator[ActivityEvent]:
        """Yield the events from a position on; calls `on_new_item` with a new item before any event names it."""

    def state(self, home: Path) -> ReplayState:
        """Return the state file of this source."""


class _Identified:
    identity: str

    def state(self, home: Path) -> ReplayState:
        """Return the state file of this source."""
        name = hashlib.sha256(self.identity.encode()).hexdigest()[:12]
        return ReplayState(home / "replays" / f"{name}.json")


class MovieLensSource(_Identified):
    """A part of a MovieLens folder."""

    def __init__(self, path: Path, start: float, stop: float, seed: int) -> None:
        self._data: MovieLensData = load_movielens(path, seed)
        self._first, self._last = self._data.bounds(start, stop)
        self.identity = f"{path.resolve()} {start} {stop} {seed}"
        self.items: Sequence[CatalogueItem] = self._data.items
        self.total = self._last - self._first

    def events(self, position: int, on_new_item: Callable[[CatalogueItem], object]) -> Iterator[ActivityEvent]:
        """Yield the events from a position on."""
        return self._data.slice(self._first + position, self._last)


class ActivitySource(MovieLensSource):
    """A part of a MovieLens folder as views, likes, dislikes and purchases."""

    def __init__(self, path: Path, start: float, stop: float, seed: int) -> None:
        super().__init__(path, start, stop, seed)
        self.identity += " as activities"
        self.total = sum(len(kinds_of(rating)) for rating in self._data.slice(self._first, self._last))

    def events(self, position: int, on_new_item: Callable[[CatalogueItem], object]) -> Iterator[ActivityEvent]:
        """Yield the events from a position on; the earlier ones are generated again and skipped."""
        return islice(as_activities(self._data.slice(self._first, self._last)), position, None)


class SyntheticSource(_Identified):
    """A synthetic stream."""

    def __init__(self, text: str) -> None:
        self._stream = SyntheticStream(parse_synthetic(text))
        self.identity = f"synthetic {self._stream.options}"
        self.items: Sequence[CatalogueItem] = self._stream.items
        self.total = self._stream.options.events

    def events(self, position: int, on_new_item: Callable[[CatalogueItem], object]) -> Iterator[ActivityEvent]:
        """Yield the events from a position on; the earlier ones are generated again and skipped."""
        return islice(self._stream.events(on_new_item), position, None)


def open_source(
    path: Path | None,
    synthetic: str | None,
    *,
    start: float,
    stop: float,
    seed: int,
    as_activities: bool = False,
) -> Source:
    """Return the source that the options of a replay name.

    Raises:
        ConfigurationError: Neither or both were given, or the data is unusable.
    """
    if (path is None) == (synthetic is None):
        raise ConfigurationError(
            "A replay needs either the path of a MovieLens folder or --synthetic users=...,items=...."
        )
    if synthetic is not None:
        return SyntheticSource(synthetic)
    source = ActivitySource if as_activities else MovieLensSource
    return source(path or Path(), start, stop, seed)
