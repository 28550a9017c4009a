"""The catalogue of a data set: franchises, genres, years, popularity, and the followers of each item."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.contracts import CatalogueItem

FACTORS = 24
FOLLOWERS = 20
GENRES = (
    *("Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy"),
    *("Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
LAST_YEAR = 2000
_FIRST_YEAR = 1920
_YEARS_BACK = 14.0  # mean age of a movie
_GENRES_OF_ITEM = (0.45, 0.35, 0.2)  # shares of items with one, two and three genres
_FRANCHISE_SHARE = 0.25  # of the items continue the item before them
_POPULARITY_SPREAD = 1.4  # of the log of popularity: the top 10 items get about 3 % of the events, as in ml-1m
_GENRE_PULL = 0.6  # share of an item's taste vector that its genres say
_LATE_SHARE = 0.6  # of the last year's items appear while the stream runs
_POPULARITY_PULL = 0.35  # what follows an item is popular itself
_YEAR_PULL = 0.15  # and of about the same year, per year
_FRANCHISE_PULL = 4.0
_SIMILARITY_PULL = 5.0
_SYLLABLES = ("ba", "do", "ka", "le", "mi", "no", "ra", "si", "ta", "ve", "zu", "mor", "lin", "gar", "fen", "hol")


@dataclass(frozen=True, slots=True)
class Items:
    """Columns over the items 0..I-1.

    Args:
        genres: Tuple of genre numbers of each item.
        year: [I] int64.
        titles: Without the year.
        log_popularity: [I] float64.
        quality: [I] float64, in stars around 0.
        taste: [I, FACTORS] float64, unit length.
        appears: [I] float64 share of the stream after which the item exists.
        followers: [I, FOLLOWERS] int64 items that people go on to, likeliest first.
    """

    genres: tuple[tuple[int, ...], ...]
    year: NDArray[np.int64]
    titles: tuple[str, ...]
    log_popularity: NDArray[np.float64]
    quality: NDArray[np.float64]
    taste: NDArray[np.float64]
    appears: NDArray[np.float64]
    followers: NDArray[np.int64]

    def catalogue(self) -> list[CatalogueItem]:
        """Return the items as the stream knows them; ids count from 1."""
        return [
            CatalogueItem(
                item_id=str(place + 1),
                title=self.titles[place],
                genres=tuple(GENRES[number] for number in self.genres[place]),
                year=int(self.year[place]),
            )
            for place in range(len(self.titles))
        ]


def make_items(count: int, rng: np.random.Generator) -> Items:
    """Draw a catalogue of `count` items."""
    franchise = np.cumsum(rng.random(count) >= _FRANCHISE_SHARE) - 1
    first = np.searchsorted(franchise, franchise)
    part = np.arange(count) - first
    genres = _genres(count, first, rng)
    taste = _tastes(genres, first, rng)
    base = np.maximum(LAST_YEAR - np.floor(rng.exponential(_YEARS_BACK, count)), _FIRST_YEAR)
    year = np.minimum(base[first] + 2 * part, LAST_YEAR).astype(np.int64)
    quality = rng.normal(0, 0.45, count)
    log_popularity = _POPULARITY_SPREAD * (rng.normal(0, 0.85, count) + 1.1 * quality) - 0.01 * (LAST_YEAR - year)
    late = (year == LAST_YEAR) & (rng.random(count) < _LATE_SHARE)
    return Items(
        genres=genres,
        year=year,
        titles=_titles(franchise, part, rng),
        log_popularity=log_popularity,
        quality=quality,
        taste=taste,
        appears=np.where(late, rng.random(count) * 0.9, 0.0),
        followers=_followers(taste, franchise, year, log_popularity),
    )


def _genres(count: int, first: NDArray[np.int64], rng: np.random.Generator) -> tuple[tuple[int, ...], ...]:
    share = 1.0 / np.arange(1, len(GENRES) + 1) ** 0.8
    share = rng.permutation(share / share.sum())
    sizes = 1 + rng.choice(len(_GENRES_OF_ITEM), count, p=_GENRES_OF_ITEM)
    drawn = [tuple(sorted(rng.choice(len(GENRES), size, replace=False, p=share).tolist())) for size in sizes]
    return tuple(drawn[place] for place in first.tolist())


def _tastes(
    genres: tuple[tuple[int, ...], ...], first: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.float64]:
    of_genre = rng.normal(0, 1, (len(GENRES), FACTORS))
    said = np.stack([of_genre[list(own)].mean(axis=0) for own in genres])
    own = rng.normal(0, 1, (len(first), FACTORS))
    # Parts of a franchise are alike.
    own = 0.8 * own[first] + 0.6 * rng.normal(0, 1, own.shape)
    return unit(_GENRE_PULL * unit(said) + (1.0 - _GENRE_PULL) * unit(own))


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return vectors scaled to length one along the last axis."""
    scaled: NDArray[np.float64] = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return scaled


def _followers(
    taste: NDArray[np.float64],
    franchise: NDArray[np.int64],
    year: NDArray[np.int64],
    log_popularity: NDArray[np.float64],
) -> NDArray[np.int64]:
    out = np.empty((len(taste), FOLLOWERS), np.int64)
    for item in range(len(taste)):
        pull = _SIMILARITY_PULL * (taste @ taste[item]) + _POPULARITY_PULL * log_popularity
        pull -= _YEAR_PULL * np.abs(year - year[item])
        pull += _FRANCHISE_PULL * (franchise == franchise[item])
        pull[item] = -np.inf
        out[item] = np.argsort(-pull, kind="stable")[:FOLLOWERS]
    return out


def _titles(franchise: NDArray[np.int64], part: NDArray[np.int64], rng: np.random.Generator) -> tuple[str, ...]:
    names = [_name(rng) for _ in range(int(franchise[-1]) + 1)]
    return tuple(
        names[own] + (f" {number + 1}" if number else "")
        for own, number in zip(franchise.tolist(), part.tolist(), strict=True)
    )


def _name(rng: np.random.Generator) -> str:
    words = ["".join(rng.choice(_SYLLABLES, rng.integers(2, 4))).capitalize() for _ in range(rng.integers(1, 3))]
    return " ".join(words)
