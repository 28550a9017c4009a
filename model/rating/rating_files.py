"""Files of ratings that are given as a training and a test part, and what lies beside them."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.contracts import CatalogueItem
from millrace.kernel.errors import ConfigurationError
from millrace.producers.movielens.readers import READERS
from millrace.producers.movielens.users import UserFacts, read_users

# `::` before `:` would be split twice; ids hold none of these.
_SEPARATORS = re.compile(r"::|[\t, ]+")
_ENCODING = "latin-1"
_SHOWN_CHARS = 80


@dataclass(frozen=True, slots=True)
class RatingFile:
    """Ratings in file order.

    Args:
        users: [N] ids.
        items: [N] ids.
        values: [N] float64.
        ts_s: [N] float64 seconds, or None if the file has no times.
    """

    users: list[str]
    items: list[str]
    values: NDArray[np.float64]
    ts_s: NDArray[np.float64] | None


def read_ratings(path: Path) -> RatingFile:
    """Read lines "user item rating [time]", separated by tabs, blanks, commas or `::`; a header may come first.

    Raises:
        ConfigurationError: The file cannot be read, is empty, or a line is broken.
    """
    try:
        lines = path.read_text(encoding=_ENCODING).splitlines()
    except OSError as error:
        raise ConfigurationError(f"The file {path} cannot be read: {error.strerror}.") from None
    users, items, values, times = [], [], [], []
    for number, line in enumerate(lines, start=1):
        fields = _SEPARATORS.split(line.strip())
        if fields == [""] or (number == 1 and len(fields) > 2 and not _is_number(fields[2])):
            continue
        if len(fields) not in (3, 4) or not all(map(_is_number, fields[2:])):
            raise ConfigurationError(
                f"Line {number} of {path} is broken: expected a user, an item, a rating and perhaps a time, "
                f"got {line[:_SHOWN_CHARS]!r}."
            )
        users.append(fields[0])
        items.append(fields[1])
        values.append(float(fields[2]))
        times.append(float(fields[3]) if len(fields) > 3 else math.nan)
    if not values:
        raise ConfigurationError(f"The file {path} holds no ratings; give lines of user, item and rating.")
    ts_s = np.array(times)
    return RatingFile(users, items, np.array(values), None if np.isnan(ts_s).any() else ts_s)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def read_items_beside(path: Path) -> Mapping[str, CatalogueItem]:
    """Return the items of a MovieLens catalogue in the file's folder by id; empty where there is none.

    Raises:
        ConfigurationError: A line of the catalogue is broken.
    """
    folder = path.parent
    for reader in READERS:
        if (folder / reader.items_file).is_file():
            return {item.item_id: item for item in reader.items(folder)}
    return {}


def read_users_beside(path: Path) -> Mapping[str, UserFacts]:
    """Return what a MovieLens users file in the file's folder tells, by id; empty where there is none.

    Raises:
        ConfigurationError: A line of the users file is broken.
    """
    return read_users(path.parent)
