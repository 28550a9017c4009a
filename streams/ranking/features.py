"""The features of a candidate and the context of a request, by name and place."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.user_state import UserState
from millrace.streams.compiled import plain
from millrace.streams.ranking.context_kernel import GAP_BUCKETS, NEUTRAL_VALUE, write_context
from millrace.streams.statistics.popularity import HISTORY_BUCKETS, history_bucket

FEATURE_NAMES: Final = (
    "transition_short",  # log of the backed-off chance of following the last items, .8^lag
    "transition_session",  # the same, .85^lag, older parts of the session damped by the time gap
    "transition_long",  # the same, .95^lag, 40 lags
    "transition_wide",  # wide-window transitions, .93^lag
    "transition_timed",  # wide-window transitions that fade with time
    "popular_300",  # log share of the last ~300 events
    "popular_3000",
    "popular_30000",
    "popular_history",  # log share among users with a history of this length
    "popular_ever",  # log of the all-time count
    "covisited",  # normalised co-visitation with the history
    "covisited_liked",  # with what the user rated above the own mean
    "covisited_disliked",  # with what the user rated below it
    "genre_last",  # log ratio of the user's genre profile to everyone's, decay .5
    "genre_recent",  # decay .8
    "genre_long",  # decay .97
    "year_recent",  # log ratio of the user's release-year profile to everyone's, decay .8
    "year_long",  # decay .97
    "title_words",  # idf of title words shared with the last 20 items
    "never_seen",  # 1 for an item without events
    "release_age",  # log years since release
    "unreleased",  # 1 if the release year lies ahead
    "mean_rating",  # Bayesian mean, less everyone's mean
    "idle_events",  # log of the events since the item's last
    "lift_session",  # geometric mean of the lifts over popularity, kernel of transition_session
    "lift_timed",  # the same over transitions that fade with time, .9^lag
    "strongest_link",  # log of the strongest single timed transition
    "obscurity_recent",  # log ratio of the user's profile over classes of popularity to everyone's, decay .8
    "obscurity_long",  # decay .97
    "genre_set",  # log ratio for exactly these genres, decay .9
    "stream_age",  # log of the events since the item's first
    "catalogue_era",  # log ratio for this place in the catalogue, decay .8
    "first_rate",  # never-seen items: log rate of first events among those of this age, place and these genres
    "unseen_genre",  # never-seen items: genre_long again
    "unseen_year",  # never-seen items: year_recent again
    "unseen_era",  # never-seen items: catalogue_era again
)
FEATURES: Final = len(FEATURE_NAMES)

CONTEXT_NAMES: Final = (
    *(f"history_{number}" for number in range(HISTORY_BUCKETS)),
    *(f"gap_{number}" for number in range(GAP_BUCKETS)),
    "log_history",  # log(1 + events), divided by 5
    "last_value",  # the last value less 3.5
    "mean_value",  # the user's mean less 3.5
    "unseen_share",  # decayed share of items without events of others among the last 20
    "pick_count",  # decayed mean of their log counts, divided by 5, less 1
)
CONTEXTS: Final = len(CONTEXT_NAMES)


def context_of(state: UserState, now_ms: int) -> NDArray[np.float32]:
    """Return the context [U] of a request made at `now_ms`, in the order of CONTEXT_NAMES.

    The last two entries are left 0: they need item statistics, see `taste_kernel.taste_of`.
    """
    context, mean_value = np.zeros(CONTEXTS, np.float32), state.mean_value or NEUTRAL_VALUE
    bucket = history_bucket(state.count)
    write_context(state.count, bucket, mean_value, plain(state.values), plain(state.ts_ms), int(now_ms), context)
    return context
