"""A user's taste as tables over classes of items, and the never-seen items that suit it."""

import numpy as np
from numpy.typing import NDArray

from streams.catalogue import MAX_GENRES, Catalogue
from streams.ranking.content_view import ERAS, ContentView
from streams.ranking.feature_kernel import FIRST_YEAR, PROFILES, UNKNOWN_AGE, YEARS, profile_ratios
from streams.ranking.features import FEATURE_NAMES
from streams.ranking.popularity_view import PopularityView
from streams.ranking.profile_kernel import CLASS_PROFILES, class_profiles, era_profile, set_profile
from streams.ranking.unseen_kernel import best_unseen, score_classes
from streams.statistics.popularity import POPULARITY_CLASSES

# Never-seen items that join the pool.
_POOL_UNSEEN = 48
# The features that differ among never-seen items, title words aside, in the order of `score_classes`; then the rate.
_SEARCHED = (
    *("genre_last", "genre_recent", "genre_long", "unseen_genre", "genre_set"),
    *("year_recent", "unseen_year", "year_long", "release_age", "unreleased"),
    *("catalogue_era", "unseen_era", "first_rate"),
)
_PLACES = np.array([FEATURE_NAMES.index(name) for name in _SEARCHED])


class Taste:
    """How a user's picks differ from everyone's: log ratios by class; scratch memory of one thread.

    Attributes:
        genre_ratios: [PROFILES, MAX_GENRES].
        year_ratios: [PROFILES, YEARS].
        class_ratios: [CLASS_PROFILES, POPULARITY_CLASSES].
        era_ratios: [ERAS].
        set_ratios: [S] by set of genres.
    """

    def __init__(self) -> None:
        self.genre_ratios = np.zeros((PROFILES, MAX_GENRES))
        self.year_ratios = np.zeros((PROFILES, YEARS))
        self.class_ratios = np.zeros((CLASS_PROFILES, POPULARITY_CLASSES))
        self.era_ratios = np.zeros(ERAS)
        self.set_ratios: NDArray[np.float32] = np.zeros(1, np.float32)

    def compare(self, history: NDArray[np.int32], catalogue: Catalogue, view: PopularityView) -> None:
        """Compare a history [H], newest first, with everyone's."""
        content = view.content
        if len(self.set_ratios) != len(content.set_shares):
            self.set_ratios = np.zeros(len(content.set_shares), np.float32)
        profile_ratios(
            history,
            catalogue.genres,
            catalogue.years,
            view.genre_shares,
            view.year_shares,
            self.genre_ratios,
            self.year_ratios,
        )
        class_profiles(history, content.lesser_classes, content.class_shares, self.class_ratios)
        era_profile(history, content.eras, content.era_shares, self.era_ratios)
        set_profile(history, content.genre_sets, content.set_shares, self.set_ratios)


class UnseenSearch:
    """Finds the never-seen items with the best linear fusion, title words left aside.

    Attributes:
        best: [<= 48] int32 of the last search, best first.
    """

    def __init__(self) -> None:
        self.best: NDArray[np.int32] = np.empty(0, np.int32)
        self._out: NDArray[np.int32] = np.zeros(_POOL_UNSEEN, np.int32)
        self._set_scores = np.zeros(1)
        self._era_scores = np.zeros(ERAS)
        self._year_scores = np.zeros(YEARS + 1)

    def search(
        self,
        taste: Taste,
        weights: NDArray[np.float32],
        now_year: float,
        content: ContentView,
        marks: NDArray[np.uint8],
    ) -> None:
        """Look through all never-seen items.

        Args:
            taste: Of the user.
            weights: [F] fusion weights in the user's context.
            now_year: Time of the request.
            content: Classes and rates.
            marks: [N]; items not FREE are left out.
        """
        if len(self._set_scores) != len(content.set_genres):
            self._set_scores = np.zeros(len(content.set_genres))
        searched = weights[_PLACES]
        score_classes(
            searched,
            content.set_genres,
            content.set_norms,
            taste.genre_ratios,
            taste.set_ratios,
            taste.era_ratios,
            taste.year_ratios,
            now_year - FIRST_YEAR,
            UNKNOWN_AGE,
            self._set_scores,
            self._era_scores,
            self._year_scores,
        )
        number = best_unseen(
            content.unseen,
            content.unseen_sets,
            content.unseen_eras,
            content.unseen_years,
            content.unseen_rates,
            marks,
            self._set_scores,
            self._era_scores,
            self._year_scores,
            float(searched[-1]),
            self._out,
        )
        self.best = self._out[:number]
