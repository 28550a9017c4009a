"""The catalogue in memory: metadata by dense item index, in the shape the ranking kernels read."""

import re

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.contracts import CatalogueItem
from millrace.streams.statistics.growing import grown

# Genres and title tokens kept per item; more are cut.
GENRES_PER_ITEM = 8
TOKENS_PER_ITEM = 8
# Genre ids are below this; in an installation with more genres, the rest share the last id.
MAX_GENRES = 64
_FIRST_ROWS = 1024
_WORD = re.compile(r"[^\W_]+")
_YEAR_SUFFIX = re.compile(r"\(\d{4}\)\s*$")
_ALTERNATIVE_TITLE = re.compile(r"\([^)]*\)")
# Words that link no two titles.
_STOP_WORDS = frozenset(
    ("a", "an", "and", "at", "by", "das", "der", "die", "el", "for", "from", "i", "in", "is", "it", "la", "las", "le")
    + ("les", "los", "me", "my", "no", "not", "of", "on", "or", "s", "the", "to", "with", "you", "your")
)
_NO_GENRES = "(no genres listed)"


class Catalogue:
    """Items by dense index (from 1); index 0 is padding and never available.

    Attributes:
        known: [N] bool, upserted at least once.
        available: [N] bool, may be recommended.
        years: [N] int16 year of release, 0 if unknown.
        genres: [N, GENRES_PER_ITEM] int16 genre ids (from 1), 0 where fewer.
        tokens: [N, TOKENS_PER_ITEM] int32 ids (from 1) of title words, 0 where fewer.
        token_items: [T] int32 number of items that carry each token.
        arrivals: Indexes in the order in which they were first upserted.
        sequence: Grows with every change.
    """

    def __init__(self) -> None:
        self.known: NDArray[np.bool_] = np.zeros(_FIRST_ROWS, np.bool_)
        self.available: NDArray[np.bool_] = np.zeros(_FIRST_ROWS, np.bool_)
        self.years: NDArray[np.int16] = np.zeros(_FIRST_ROWS, np.int16)
        self.genres: NDArray[np.int16] = np.zeros((_FIRST_ROWS, GENRES_PER_ITEM), np.int16)
        self.tokens: NDArray[np.int32] = np.zeros((_FIRST_ROWS, TOKENS_PER_ITEM), np.int32)
        self.token_items: NDArray[np.int32] = np.zeros(_FIRST_ROWS, np.int32)
        self.arrivals: list[int] = []
        self.sequence = 0
        self._items: dict[int, CatalogueItem] = {}
        self._genre_ids: dict[str, int] = {}
        self._token_ids: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._items)

    @property
    def max_index(self) -> int:
        """Highest index known, 0 if there is none."""
        return max(self._items, default=0)

    @property
    def genre_names(self) -> list[str]:
        """Names of the genres, by id minus 1."""
        return list(self._genre_ids)

    def item_id(self, index: int) -> str:
        """Return the identifier of an index.

        Raises:
            KeyError: No item has this index.
        """
        return self._items[index].item_id

    def items(self) -> dict[int, CatalogueItem]:
        """Return the newest metadata of all items by index, a copy."""
        return dict(self._items)

    def item(self, index: int) -> CatalogueItem | None:
        """Return the newest metadata of an index, or None."""
        return self._items.get(index)

    def title(self, index: int) -> str:
        """Return the title, or the identifier of an item without one, or an empty string if unknown."""
        item = self._items.get(index)
        return (item.title or item.item_id) if item else ""

    def upsert(self, index: int, item: CatalogueItem) -> None:
        """Take over the newest metadata of an index.

        Args:
            index: Dense index, from 1.
            item: Metadata; replaces what was known.
        """
        self.ensure(index + 1)
        if index not in self._items:
            self.arrivals.append(index)
        self._items[index] = item
        self.known[index] = True
        self.available[index] = item.available
        self.years[index] = item.year or 0
        self._set_genres(index, item.genres)
        self._set_tokens(index, title_words(item.title))
        self.sequence += 1

    def clear(self) -> None:
        """Forget all items; the ids of genres and title words stay."""
        for array in (self.known, self.available, self.years, self.genres, self.tokens, self.token_items):
            array[:] = 0
        self.arrivals = []
        self._items.clear()
        self.sequence += 1

    def _set_genres(self, index: int, names: tuple[str, ...]) -> None:
        self.genres[index] = 0
        wanted = [name for name in names if name != _NO_GENRES][:GENRES_PER_ITEM]
        for place, name in enumerate(wanted):
            number = self._genre_ids.setdefault(name, len(self._genre_ids) + 1)
            self.genres[index, place] = min(number, MAX_GENRES - 1)

    def _set_tokens(self, index: int, words: list[str]) -> None:
        for token in self.tokens[index][self.tokens[index] > 0].tolist():
            self.token_items[token] -= 1
        self.tokens[index] = 0
        for place, word in enumerate(words[:TOKENS_PER_ITEM]):
            token = self._token_ids.setdefault(word, len(self._token_ids) + 1)
            if token >= len(self.token_items):
                self.token_items = grown(self.token_items, token + 1)
            self.tokens[index, place] = token
            self.token_items[token] += 1

    def ensure(self, size: int) -> None:
        """Make room for indexes below `size`."""
        if size > len(self.known):
            self.known = grown(self.known, size)
            self.available = grown(self.available, size)
            self.years = grown(self.years, size)
            self.genres = grown(self.genres, size)
            self.tokens = grown(self.tokens, size)


def title_words(title: str) -> list[str]:
    """Return the distinct words that can link two titles, in order: no year, no alternative title, no stop words."""
    main = _ALTERNATIVE_TITLE.sub(" ", _YEAR_SUFFIX.sub("", title)).lower().replace("'", "")
    words = _WORD.findall(main)
    return list(dict.fromkeys(word for word in words if word not in _STOP_WORDS))
