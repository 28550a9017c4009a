"""Reads the files of one MovieLens format line by line; a broken line is named with its file and number."""

import csv
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from millrace.kernel.contracts import CatalogueItem
from millrace.kernel.contracts.event import MAX_RATING, MIN_RATING
from millrace.kernel.errors import ConfigurationError
from millrace.producers.movielens.titles import split_genres, split_title

_MAX_ID = 2**31 - 1
# The flags of u.item, in order (u.genre lists them; some copies of the data come without it).
_ML100K_GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama",
    "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
_ML100K_FIRST_FLAG = 5
_SHOWN_CHARS = 80


class Rating(NamedTuple):
    """One line of a ratings file."""

    user: int
    item: int
    value: float
    ts_s: int


class Reader(ABC):
    """One format: which files it consists of, and how their lines look."""

    name: str
    ratings_file: str
    items_file: str
    encoding: str

    def ratings(self, folder: Path) -> Iterator[Rating]:
        """Yield the ratings in file order.

        Raises:
            ConfigurationError: The file cannot be read, or a line is broken.
        """
        path = folder / self.ratings_file
        for number, fields in self._rows(path):
            try:
                yield _rating(fields)
            except (ValueError, IndexError):
                raise _broken(path, number, fields, "a user, an item, a rating from 0.5 to 5 and a time") from None

    def items(self, folder: Path) -> Iterator[CatalogueItem]:
        """Yield the catalogue in file order.

        Raises:
            ConfigurationError: The file cannot be read, or a line is broken.
        """
        path = folder / self.items_file
        for number, fields in self._rows(path):
            try:
                title, year = split_title(fields[1])
                yield CatalogueItem(item_id=str(int(fields[0])), title=title, genres=self._genres(fields), year=year)
            except (ValueError, IndexError, ValidationError):
                raise _broken(path, number, fields, "a movie's number, title and genres") from None

    @abstractmethod
    def _split(self, lines: Iterator[str]) -> Iterator[Sequence[str]]:
        """Yield the fields of each line."""

    @abstractmethod
    def _genres(self, fields: Sequence[str]) -> tuple[str, ...]:
        """Return the genres of one catalogue line."""

    def _rows(self, path: Path) -> Iterator[tuple[int, Sequence[str]]]:
        """Yield line numbers from 1 and fields, without the header and empty lines."""
        try:
            with path.open(encoding=self.encoding, newline="") as lines:
                for number, fields in enumerate(self._split(lines), start=1):
                    if fields and not (number == 1 and not fields[0].strip().isdigit() and self.has_header):
                        yield number, fields
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise ConfigurationError(f"The file {path} cannot be read as {self.name} data: {error}.") from None

    has_header = False


class CsvReader(Reader):
    """ml-latest-small, ml-latest, ml-20m, ml-25m, ml-32m: comma-separated with a header."""

    name = "MovieLens CSV"
    ratings_file = "ratings.csv"
    items_file = "movies.csv"
    encoding = "utf-8-sig"
    has_header = True

    def _split(self, lines: Iterator[str]) -> Iterator[Sequence[str]]:
        return csv.reader(lines)

    def _genres(self, fields: Sequence[str]) -> tuple[str, ...]:
        return split_genres(fields[2])


class DatReader(Reader):
    """ml-1m and ml-10m: fields parted by `::`."""

    name = "ml-1m"
    ratings_file = "ratings.dat"
    items_file = "movies.dat"
    encoding = "latin-1"

    def _split(self, lines: Iterator[str]) -> Iterator[Sequence[str]]:
        return (line.rstrip("\r\n").split("::") if line.strip() else () for line in lines)

    def _genres(self, fields: Sequence[str]) -> tuple[str, ...]:
        return split_genres(fields[2])


class TabReader(Reader):
    """ml-100k: ratings parted by tabs, the catalogue by `|` with one flag per genre."""

    name = "ml-100k"
    ratings_file = "u.data"
    items_file = "u.item"
    encoding = "latin-1"

    def _split(self, lines: Iterator[str]) -> Iterator[Sequence[str]]:
        for line in lines:
            text = line.rstrip("\r\n")
            yield text.split("\t" if "\t" in text else "|") if text.strip() else ()

    def _genres(self, fields: Sequence[str]) -> tuple[str, ...]:
        flags = fields[_ML100K_FIRST_FLAG:]
        if len(flags) != len(_ML100K_GENRES):
            raise ValueError("wrong number of genre flags")
        return tuple(genre for genre, flag in zip(_ML100K_GENRES[1:], flags[1:], strict=True) if flag == "1")


READERS: tuple[Reader, ...] = (CsvReader(), DatReader(), TabReader())


def detect_reader(folder: Path) -> Reader:
    """Return the reader whose files the folder holds.

    Raises:
        ConfigurationError: The folder is missing, or holds none of the formats.
    """
    if folder.is_file():
        raise ConfigurationError(f"{folder} is a file; give the folder that holds the MovieLens files.")
    if not folder.is_dir():
        raise ConfigurationError(f"The data folder {folder} does not exist; give the path of a MovieLens folder.")
    for reader in READERS:
        if (folder / reader.ratings_file).is_file() and (folder / reader.items_file).is_file():
            return reader
    expected = ", ".join(f"{reader.ratings_file} and {reader.items_file}" for reader in READERS)
    raise ConfigurationError(f"The folder {folder} holds no MovieLens data; expected one of: {expected}.")


def _rating(fields: Sequence[str]) -> Rating:
    """Convert one line, or raise ValueError or IndexError."""
    rating = Rating(int(fields[0]), int(fields[1]), float(fields[2]), int(fields[3]))
    sound = 0 <= rating.user <= _MAX_ID and 0 <= rating.item <= _MAX_ID and rating.ts_s >= 0
    if not (sound and math.isfinite(rating.value) and MIN_RATING <= rating.value <= MAX_RATING):
        raise ValueError("out of range")
    return rating


def _broken(path: Path, number: int, fields: Sequence[str], expected: str) -> ConfigurationError:
    text = ",".join(fields)
    shown = text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "..."
    return ConfigurationError(f"The file {path}, line {number}, is broken: expected {expected}, found {shown!r}.")
