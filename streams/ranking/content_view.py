"""What is derived from catalogue and first events: classes of items, and how soon never-seen ones of a class are seen.

Half of what is acted on for the first time is either a new release or stands near the end of the catalogue, where the
latest arrivals are: the place in the catalogue tells when an item became known.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.catalogue import GENRES_PER_ITEM, MAX_GENRES, Catalogue
from streams.ranking.feature_kernel import FIRST_YEAR, YEARS
from streams.statistics import ItemStatistics
from streams.statistics.popularity import POPULARITY_CLASSES

# Items are divided by their place in the catalogue into this many eras of equal size.
ERAS = 256
# Rates of first events are estimated for wider eras, as they are rare.
_RATE_ERAS, _ERAS_PER_RATE = 64, 4
# Bounds of the classes by years since release; items of unknown year have a class of their own.
_AGE_BOUNDS = np.array([-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 40.0])
_AGES = len(_AGE_BOUNDS) + 2
# First events fade with these time constants, in events.
_ERA_DECAY_EVENTS, _CONTENT_DECAY_EVENTS = 1_000.0, 3_000.0
# Items of the average rate that every class has beside its own.
_ERA_PRIOR, _AGE_PRIOR, _GENRE_PRIOR = 3.0, 10.0, 20.0
# Never-seen items looked through for one request, at most: those of the highest rates.
_MOST_UNSEEN = 8_192
# What np.bincount gives, with weights or without.
_Masses = NDArray[np.floating[Any]] | NDArray[np.signedinteger[Any]]
_EPOCH_YEAR, _YEAR_MS = 1970, 365.2425 * 86_400_000


class ContentView:
    """Classes of all items; renewed together with `PopularityView`.

    Attributes:
        eras: [N] int16 era of each item by its place in the catalogue.
        era_shares: [ERAS] float64 share of recent events.
        classes: [N] int8 popularity class.
        lesser_classes: [N] int8 popularity class if there were one event less.
        class_shares: [POPULARITY_CLASSES] float64 share of recent events by the class they met.
        genre_sets: [N] int32 which set of genres an item has.
        set_genres: [S, GENRES_PER_ITEM] int16 the genres of each set, 0 where fewer.
        set_norms: [S] float64 one over the root of the number of its genres.
        set_shares: [S] float64 share of recent events.
        first_rates: [N] float32 log of how often never-seen items of the same age, era and genres have lately met
            their first event, relative to all never-seen items.
        unseen: [M] int32 known, available items without events, highest first rate first.
        unseen_sets: [M] int32 their genre sets; `unseen_eras` int16, `unseen_rates` float32: the same of these.
        unseen_years: [M] int16 their years of release from FIRST_YEAR, YEARS where unknown.
    """

    def __init__(self) -> None:
        self.eras: NDArray[np.int16] = np.zeros(0, np.int16)
        self.era_shares: NDArray[np.float64] = np.zeros(ERAS)
        self.classes: NDArray[np.int8] = np.zeros(0, np.int8)
        self.lesser_classes: NDArray[np.int8] = np.zeros(0, np.int8)
        self.class_shares: NDArray[np.float64] = np.zeros(POPULARITY_CLASSES)
        self.genre_sets: NDArray[np.int32] = np.zeros(0, np.int32)
        self.set_genres: NDArray[np.int16] = np.zeros((1, GENRES_PER_ITEM), np.int16)
        self.set_norms: NDArray[np.float64] = np.ones(1)
        self.set_shares: NDArray[np.float64] = np.zeros(1)
        self.first_rates: NDArray[np.float32] = np.zeros(0, np.float32)
        self.unseen: NDArray[np.int32] = np.empty(0, np.int32)
        self.unseen_sets: NDArray[np.int32] = np.empty(0, np.int32)
        self.unseen_eras: NDArray[np.int16] = np.empty(0, np.int16)
        self.unseen_rates: NDArray[np.float32] = np.empty(0, np.float32)
        self.unseen_years: NDArray[np.int16] = np.empty(0, np.int16)
        self._catalogue_sequence = (-1, -1)

    def renew(self, statistics: ItemStatistics, catalogue: Catalogue, shares: NDArray[np.float32]) -> None:
        """Derive everything anew.

        Args:
            statistics: Counts and first events.
            catalogue: Content, with room for the same indexes.
            shares: [N] recent share of each item.
        """
        if self._catalogue_sequence != (catalogue.sequence, len(catalogue.known)):
            self._catalogue_sequence = (catalogue.sequence, len(catalogue.known))
            self._renew_sets(catalogue)
            places = np.arange(len(catalogue.known)) * ERAS // (len(catalogue) + 1)
            self.eras = np.minimum(places, ERAS - 1).astype(np.int16)
        counts = statistics.popularity.counts
        self.classes = _classes(counts)
        self.lesser_classes = _classes(counts - 1)
        self.class_shares = statistics.class_totals / max(float(statistics.class_totals.sum()), 1.0)
        total = float(shares.sum()) or 1.0
        self.era_shares = _spread(np.bincount(self.eras, shares, ERAS)) / total
        self.set_shares = np.bincount(self.genre_sets, shares, len(self.set_genres)) / total
        self._renew_rates(statistics, catalogue)

    def _renew_sets(self, catalogue: Catalogue) -> None:
        present = catalogue.genres.astype(np.uint64)
        bits = np.where(present > 0, np.uint64(1) << present, np.uint64(0))
        _, first, sets = np.unique(np.bitwise_or.reduce(bits, axis=1), return_index=True, return_inverse=True)
        self.genre_sets = sets.astype(np.int32)
        self.set_genres = catalogue.genres[first]
        self.set_norms = 1.0 / np.sqrt(np.maximum((self.set_genres > 0).sum(axis=1), 1))

    def _renew_rates(self, statistics: ItemStatistics, catalogue: Catalogue) -> None:
        popularity = statistics.popularity
        unseen = catalogue.known & (popularity.counts == 0)
        seen = np.flatnonzero(popularity.counts)
        since = statistics.clock - popularity.first_clock[seen]
        latest, firsts = np.zeros(len(unseen)), np.zeros(len(unseen))
        latest[seen] = np.exp(-since / _ERA_DECAY_EVENTS)
        firsts[seen] = np.exp(-since / _CONTENT_DECAY_EVENTS)
        eras = self.eras // _ERAS_PER_RATE
        by_era = _log_rates(eras, _RATE_ERAS, latest, unseen, _ERA_PRIOR)
        ages = _ages(catalogue.years, _year_of(statistics.last_ts_ms))
        by_age = _log_rates(ages, _AGES, firsts, unseen, _AGE_PRIOR)
        rates = by_era[eras] + by_age[ages] + self._genre_rates(firsts, unseen)
        self.first_rates = rates.astype(np.float32)
        self._renew_unseen(np.flatnonzero(unseen & catalogue.available), catalogue)

    def _renew_unseen(self, open_items: NDArray[np.int64], catalogue: Catalogue) -> None:
        order = np.argsort(-self.first_rates[open_items], kind="stable")[:_MOST_UNSEEN]
        self.unseen = open_items[order].astype(np.int32)
        self.unseen_sets, self.unseen_eras = self.genre_sets[self.unseen], self.eras[self.unseen]
        self.unseen_rates = self.first_rates[self.unseen]
        years = catalogue.years[self.unseen].astype(np.int64)
        places = np.where(years > 0, np.clip(years - FIRST_YEAR, 0, YEARS - 1), YEARS)
        self.unseen_years = places.astype(np.int16)

    def _genre_rates(self, firsts: NDArray[np.float64], unseen: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return [N] the mean of the log rates of each item's genres."""
        sets = len(self.set_genres)
        met, left = np.bincount(self.genre_sets, firsts, sets), np.bincount(self.genre_sets, unseen, sets)
        met_by_genre, left_by_genre = np.zeros(MAX_GENRES), np.zeros(MAX_GENRES)
        for place in range(GENRES_PER_ITEM):
            met_by_genre += np.bincount(self.set_genres[:, place], met, MAX_GENRES)
            left_by_genre += np.bincount(self.set_genres[:, place], left, MAX_GENRES)
        rate = _average_rate(met, left)
        by_genre = np.log((met_by_genre + _GENRE_PRIOR * rate) / (left_by_genre + _GENRE_PRIOR) / rate)
        by_genre[0] = 0.0
        carried = np.maximum((self.set_genres > 0).sum(axis=1), 1)
        by_set = by_genre[self.set_genres].sum(axis=1) / carried
        return np.asarray(by_set[self.genre_sets], np.float64)


def _classes(counts: NDArray[np.int64]) -> NDArray[np.int8]:
    """Return the popularity classes of counts; see `popularity_class`."""
    # frexp is exact where log2 rounds: the exponent of n - 1/2 is the number of bits of n - 1.
    exponents = np.frexp(np.maximum(counts, 1) - 0.5)[1]
    return np.where(counts > 0, np.minimum(exponents + 1, POPULARITY_CLASSES - 1), 0).astype(np.int8)


def _ages(years: NDArray[np.int16], now_year: float) -> NDArray[np.int64]:
    """Return [N] the age class of each release year: looked up, as there are far fewer years than items."""
    first = int(years.min())
    by_year = np.digitize(now_year - np.arange(first, int(years.max()) + 1), _AGE_BOUNDS)
    if first <= 0:
        by_year[-first] = _AGES - 1
    return np.asarray(by_year[years.astype(np.int64) - first])


def _average_rate(met: _Masses, left: _Masses) -> float:
    return (float(met.sum()) + 1.0) / (float(left.sum()) + 10.0)


def _log_rates(
    classes: NDArray[np.integer[Any]], number: int, firsts: NDArray[np.float64], unseen: NDArray[np.bool_], prior: float
) -> NDArray[np.float64]:
    """Return [number] how many of a class met their first event, per item that is left, in logs of the average."""
    met, left = np.bincount(classes, firsts, number), np.bincount(classes, unseen, number)
    rate = _average_rate(met, left)
    return np.asarray(np.log((met + prior * rate) / (left + prior) / rate), np.float64)


def _spread(mass: _Masses) -> NDArray[np.float64]:
    """Spread mass over the two neighbours on either side, as `profile_kernel` does with a user's."""
    return np.asarray(np.convolve(mass, np.array([0.25, 0.5, 1.0, 0.5, 0.25]) / 2.5, "same"), np.float64)


def _year_of(now_ms: int) -> float:
    """Return the time as a year with a fraction, exact to a day."""
    return _EPOCH_YEAR + now_ms / _YEAR_MS
