"""A user's taste as tables over classes of items, and the never-seen items that suit it."""

import numpy as np
from numpy.typing import NDArray

from streams.ranking.content_view import ERAS
from streams.ranking.features import FEATURE_NAMES
from streams.ranking.popularity_view import PopularityView
from streams.ranking.profile_kernel import YEARS
from streams.ranking.taste_kernel import CLASS_PROFILES, SET_COLUMNS, YEAR_COLUMNS
from streams.ranking.unseen_kernel import unseen_by_taste
from streams.statistics.popularity import POPULARITY_CLASSES

# Never-seen items that join the pool.
_POOL_UNSEEN = 48
# The features that differ among never-seen items, title words aside, in the order of `search_unseen`; then the rate.
_SEARCHED = (
    *("genre_last", "genre_recent", "genre_long", "unseen_genre", "genre_set"),
    *("year_recent", "unseen_year", "year_long", "release_age", "unreleased"),
    *("catalogue_era", "unseen_era", "first_rate"),
)
_PLACES = np.array([FEATURE_NAMES.index(name) for name in _SEARCHED])


class Taste:
    """How a user's picks differ from everyone's: log ratios by class; scratch memory of one thread.

    Attributes:
        classes: [CLASS_PROFILES, POPULARITY_CLASSES] by popularity.
        eras: [ERAS] float32 by place in the catalogue.
        sets: [S, SET_COLUMNS] float32 by set of genres.
        years: [YEARS + 1, YEAR_COLUMNS] float32 by year of release; the last row is of items of unknown year.
    """

    def __init__(self) -> None:
        self.classes = np.zeros((CLASS_PROFILES, POPULARITY_CLASSES))
        self.eras: NDArray[np.float32] = np.zeros(ERAS, np.float32)
        self.sets: NDArray[np.float32] = np.zeros((1, SET_COLUMNS), np.float32)
        self.years: NDArray[np.float32] = np.zeros((YEARS + 1, YEAR_COLUMNS), np.float32)
        self._unseen: NDArray[np.int32] = np.zeros(_POOL_UNSEEN, np.int32)

    def compare(
        self,
        history: NDArray[np.int32],
        touched: NDArray[np.int32],
        now_year: float,
        weights: NDArray[np.float32],
        view: PopularityView,
        marks: NDArray[np.uint8],
    ) -> NDArray[np.int32]:
        """Compare a history with everyone's; return the never-seen items that suit it best, title words left aside.

        Args:
            history: [H] items, newest first.
            touched: [T] items that the user has touched, BLOCKED on return.
            now_year: Time of the request.
            weights: [F] fusion weights in the user's context.
            view: Everyone's picks.
            marks: [N].

        Returns:
            [<= 48] best first.
        """
        content = view.content
        if len(self.sets) != len(content.set_shares):
            self.sets = np.zeros((len(content.set_shares), SET_COLUMNS), np.float32)
        number: int = unseen_by_taste(
            history,
            now_year,
            view.items,
            content.set_genres,
            content.set_norms,
            view.genre_shares,
            view.year_shares,
            content.class_shares,
            content.era_shares,
            content.set_shares,
            weights[_PLACES],
            content.unseen,
            content.unseen_sets,
            content.unseen_eras,
            content.unseen_years,
            content.unseen_rates,
            touched,
            self.classes,
            self.eras,
            self.sets,
            self.years,
            marks,
            self._unseen,
        )
        return self._unseen[:number]
