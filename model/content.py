"""Content features of items, which are known before an item has any event."""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.contracts import CatalogueItem

# Years are encoded by tent functions with knots every five years. Neighbouring years share weights, so a rare year
# learns from the years around it.
_FIRST_YEAR = 1900
_LAST_YEAR = 2040
_YEAR_STEP = 5
YEAR_KNOTS = (_LAST_YEAR - _FIRST_YEAR) // _YEAR_STEP + 1
# Columns before the genres: the year knots, then the flags "year unknown" and "no genre".
FIXED_COLUMNS = YEAR_KNOTS + 2


def genre_vocabulary(items: Iterable[CatalogueItem], known: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the genre names in column order.

    Args:
        items: Items whose genres are added.
        known: Genre names that keep their order and come first.

    Returns:
        `known`, followed by the new genres in alphabetical order.
    """
    before = tuple(known)
    met = {genre for item in items for genre in item.genres}
    return before + tuple(sorted(met.difference(before)))


def content_matrix(items: Mapping[int, CatalogueItem], genres: tuple[str, ...], rows: int) -> NDArray[np.float32]:
    """Return the content features of all items.

    Args:
        items: Dense index -> item.
        genres: Genre names in column order; other genres are ignored.
        rows: Rows of the matrix; items with higher indexes are left out.

    Returns:
        [rows, FIXED_COLUMNS + number of genres] float32; a row without an item is zero. The year weights of an item
        sum to 1, its genre weights have norm 1.
    """
    column = {genre: FIXED_COLUMNS + place for place, genre in enumerate(genres)}
    matrix = np.zeros((rows, FIXED_COLUMNS + len(genres)), np.float32)
    for index, item in items.items():
        if index < rows:
            _fill_year(matrix[index], item.year)
            _fill_genres(matrix[index], [column[genre] for genre in item.genres if genre in column])
    return matrix


def _fill_year(row: NDArray[np.float32], year: int | None) -> None:
    if year is None:
        row[YEAR_KNOTS] = 1.0
        return
    place = (min(max(year, _FIRST_YEAR), _LAST_YEAR) - _FIRST_YEAR) / _YEAR_STEP
    knot = min(int(place), YEAR_KNOTS - 2)
    row[knot] = 1.0 - (place - knot)
    row[knot + 1] = place - knot


def _fill_genres(row: NDArray[np.float32], columns: list[int]) -> None:
    if not columns:
        row[YEAR_KNOTS + 1] = 1.0
        return
    row[columns] = 1.0 / np.sqrt(len(columns))
