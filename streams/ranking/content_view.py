"""Classes of items, and how soon never-seen items of each class get their first event.

Half of all first events are on new releases or on items near the end of the catalogue, which are the latest arrivals:
the place in the catalogue tells when an item became known.
"""

import numpy as np
from numpy.typing import NDArray

from millrace.streams.catalogue import GENRES_PER_ITEM, MAX_GENRES, Catalogue
from millrace.streams.ranking.arrays import UnseenItems
from millrace.streams.ranking.item_kernel import fade_firsts
from millrace.streams.ranking.profile_kernel import FIRST_YEAR, YEARS
from millrace.streams.ranking.view_kernel import rate_genres, rate_items, rate_keys, tally_firsts, tally_shares
from millrace.streams.statistics import ItemStatistics
from millrace.streams.statistics.popularity import POPULARITY_CLASSES, popularity_class

# Items are divided by their place in the catalogue into this many eras of equal size.
ERAS = 256
# Rates of first events are estimated for wider eras, as they are rare.
_RATE_ERAS, _ERAS_PER_RATE = 64, 4
# Bounds of the classes by years since release; items of unknown year have a class of their own.
_AGE_BOUNDS = np.array([-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 40.0])
_AGES = len(_AGE_BOUNDS) + 2
# First events fade with these time constants, in events.
_ERA_DECAY_EVENTS, _CONTENT_DECAY_EVENTS = 1_000.0, 3_000.0
# Pseudo-items of the average rate in every class.
_ERA_PRIOR, _AGE_PRIOR, _GENRE_PRIOR = 3.0, 10.0, 20.0
# Most never-seen items searched for one request: those with the highest rates.
_MOST_UNSEEN = 8_192
# The class of each count; from where the last one begins, all counts share it.
CLASS_OF_COUNT = np.array([popularity_class(count) for count in range(1 << POPULARITY_CLASSES)], np.int8)
_EPOCH_YEAR, _YEAR_MS = 1970, 365.2425 * 86_400_000


class ContentView:
    """Classes of all items; renewed together with `PopularityView`.

    Attributes:
        eras: [N] int16 era of each item by its place in the catalogue.
        era_shares: [ERAS] float64 share of recent events.
        year_places: [N] int16 year of release from FIRST_YEAR, YEARS where unknown.
        class_shares: [POPULARITY_CLASSES] float64 share of recent events by the class they met.
        genre_sets: [N] int32 which set of genres an item has.
        set_genres: [S, GENRES_PER_ITEM] int16 the genres of each set, 0 where fewer.
        set_norms: [S] float64 one over the root of the number of its genres.
        set_shares: [S] float64 share of recent events.
        year_shares: [YEARS + 1] float64 share of recent events by place in `year_places`.
        first_rates: [<= N] float32 log of how often never-seen items of the same age, era and genres have lately met
            their first event, relative to all never-seen items.
        unseen: Known, available items without events, with their classes.
        catalogue_sequence: Sequence and size of the catalogue that the classes were made from.
    """

    def __init__(self) -> None:
        self.eras: NDArray[np.int16] = np.zeros(0, np.int16)
        self.era_shares: NDArray[np.float64] = np.zeros(ERAS)
        self.year_places: NDArray[np.int16] = np.zeros(0, np.int16)
        self._rate_eras: NDArray[np.int32] = np.zeros(0, np.int32)
        self.class_shares: NDArray[np.float64] = np.zeros(POPULARITY_CLASSES)
        self.genre_sets: NDArray[np.int32] = np.zeros(0, np.int32)
        self.set_genres: NDArray[np.int16] = np.zeros((1, GENRES_PER_ITEM), np.int16)
        self.set_norms: NDArray[np.float64] = np.ones(1)
        self.set_shares: NDArray[np.float64] = np.zeros(1)
        self.year_shares: NDArray[np.float64] = np.zeros(YEARS + 1)
        self.first_rates: NDArray[np.float32] = np.zeros(0, np.float32)
        self.unseen = self._described(np.empty(0, np.int32))
        self.catalogue_sequence = (-1, -1)

    def renew(self, statistics: ItemStatistics, catalogue: Catalogue, shares: NDArray[np.float32]) -> None:
        """Derive everything anew.

        Args:
            statistics: Counts and first events.
            catalogue: Content, with room for the same indexes.
            shares: [<= N] recent share of each item of which anything is known.
        """
        if self.catalogue_sequence != (catalogue.sequence, len(catalogue.known)):
            self.catalogue_sequence = (catalogue.sequence, len(catalogue.known))
            self._renew_sets(catalogue)
            self._renew_places(catalogue)
        self.class_shares = statistics.class_totals / max(float(statistics.class_totals.sum()), 1.0)
        mass, used = np.zeros(ERAS), len(shares)
        places = (self.eras[:used], self.genre_sets[:used], self.year_places[:used])
        tally_shares(shares, *places, mass, self.set_shares, self.year_shares)
        self.era_shares = _spread(mass)
        self._renew_rates(statistics, catalogue, used)

    def _renew_sets(self, catalogue: Catalogue) -> None:
        present = catalogue.genres.astype(np.uint64)
        bits = np.where(present > 0, np.uint64(1) << present, np.uint64(0))
        _, first, sets = np.unique(np.bitwise_or.reduce(bits, axis=1), return_index=True, return_inverse=True)
        # Sets of equal size side by side: a loop over all of them has predictable ends.
        order = np.argsort((catalogue.genres[first] > 0).sum(axis=1), kind="stable")
        self.genre_sets = np.argsort(order)[sets].astype(np.int32)
        self.set_genres = catalogue.genres[first[order]]
        self.set_norms = 1.0 / np.sqrt(np.maximum((self.set_genres > 0).sum(axis=1), 1))
        self.set_shares = np.zeros(len(self.set_genres))

    def _renew_places(self, catalogue: Catalogue) -> None:
        places = np.arange(len(catalogue.known)) * ERAS // (len(catalogue) + 1)
        self.eras = np.minimum(places, ERAS - 1).astype(np.int16)
        self._rate_eras = (self.eras // _ERAS_PER_RATE).astype(np.int32)
        years = catalogue.years.astype(np.int64)
        self.year_places = np.where(years > 0, np.clip(years - FIRST_YEAR, 0, YEARS - 1), YEARS).astype(np.int16)

    def _renew_rates(self, statistics: ItemStatistics, catalogue: Catalogue, used: int) -> None:
        clock, counts = statistics.clock, statistics.popularity.counts[:used]
        unseen, first_clock = catalogue.known[:used] & (counts == 0), statistics.popularity.first_clock[:used]
        latest = fade_firsts(clock, counts, first_clock, _ERA_DECAY_EVENTS)
        firsts = fade_firsts(clock, counts, first_clock, _CONTENT_DECAY_EVENTS)
        ages = _ages(_year_of(statistics.last_ts_ms))
        by_era, by_age, by_set = np.zeros((_RATE_ERAS, 2)), np.zeros((_AGES, 2)), np.zeros((len(self.set_genres), 2))
        classes = (self._rate_eras[:used], self.year_places[:used], ages, self.genre_sets[:used])
        tally_firsts(latest, firsts, unseen, *classes, by_era, by_age, by_set)
        met, left = by_set.T.copy()
        of_sets = rate_genres(met, left, self.set_genres, MAX_GENRES, _average_rate(met, left), _GENRE_PRIOR)
        self.first_rates = rate_items(_log_rates(by_era, _ERA_PRIOR), _log_rates(by_age, _AGE_PRIOR), of_sets, *classes)
        self._renew_unseen(unseen & catalogue.available[:used])

    def _renew_unseen(self, wanted: NDArray[np.bool_]) -> None:
        keys = np.sort(rate_keys(self.first_rates, wanted))[:_MOST_UNSEEN]
        self.unseen = self._described((keys & np.uint64(0xFFFFFFFF)).astype(np.int32))

    def _described(self, items: NDArray[np.int32]) -> UnseenItems:
        classes = (self.genre_sets[items], self.eras[items], self.year_places[items])
        return UnseenItems(items, *classes, self.first_rates[items])


def _ages(now_year: float) -> NDArray[np.int32]:
    """Return [YEARS + 1] the age class of each release year from FIRST_YEAR on; the last one is of unknown years."""
    ages = np.digitize(now_year - np.arange(FIRST_YEAR, FIRST_YEAR + YEARS), _AGE_BOUNDS)
    return np.append(ages, _AGES - 1).astype(np.int32)


def _average_rate(met: NDArray[np.float64], left: NDArray[np.float64]) -> float:
    return (float(met.sum()) + 1.0) / (float(left.sum()) + 10.0)


def _log_rates(tallies: NDArray[np.float64], prior: float) -> NDArray[np.float64]:
    """Return [C] how many of a class met their first event, per item that is left, in logs of the average.

    Args:
        tallies: [C, 2] sums of first events, and items left.
        prior: Items of the average rate that every class has beside its own.
    """
    met, left = tallies.T
    rate = _average_rate(met, left)
    return np.asarray(np.log((met + prior * rate) / (left + prior) / rate), np.float64)


def _spread(mass: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spread mass over the two neighbours on either side, as `profile_kernel` does with a user's."""
    return np.asarray(np.convolve(mass, np.array([0.25, 0.5, 1.0, 0.5, 0.25]) / 2.5, "same"), np.float64)


def _year_of(now_ms: int) -> float:
    """Return the time as a year with a fraction, exact to a day."""
    return _EPOCH_YEAR + now_ms / _YEAR_MS
