"""Names and places of the features of a candidate and of the context of a request.

The kernels write by the constants below and Python reads by the names, so the two cannot disagree. To numba the
constants are literals: a name costs nothing at run time. Groups that a kernel writes in a loop lie side by side.
"""

from typing import Final

from millrace.streams.statistics.popularity import HISTORY_BUCKETS

# Upper bounds, in seconds, of the buckets of the time since the user's last event.
GAP_BOUNDS_S: Final = (10.0, 120.0, 1_800.0, 43_200.0, 604_800.0)
GAP_BUCKETS: Final = len(GAP_BOUNDS_S) + 1

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

# The column of each feature.
TRANSITION_SHORT: Final = FEATURE_NAMES.index("transition_short")
TRANSITION_SESSION: Final = FEATURE_NAMES.index("transition_session")
TRANSITION_LONG: Final = FEATURE_NAMES.index("transition_long")
TRANSITION_WIDE: Final = FEATURE_NAMES.index("transition_wide")
TRANSITION_TIMED: Final = FEATURE_NAMES.index("transition_timed")
POPULAR_300: Final = FEATURE_NAMES.index("popular_300")
POPULAR_3000: Final = FEATURE_NAMES.index("popular_3000")
POPULAR_30000: Final = FEATURE_NAMES.index("popular_30000")
POPULAR_HISTORY: Final = FEATURE_NAMES.index("popular_history")
POPULAR_EVER: Final = FEATURE_NAMES.index("popular_ever")
COVISITED: Final = FEATURE_NAMES.index("covisited")
COVISITED_LIKED: Final = FEATURE_NAMES.index("covisited_liked")
COVISITED_DISLIKED: Final = FEATURE_NAMES.index("covisited_disliked")
GENRE_LAST: Final = FEATURE_NAMES.index("genre_last")
GENRE_RECENT: Final = FEATURE_NAMES.index("genre_recent")
GENRE_LONG: Final = FEATURE_NAMES.index("genre_long")
YEAR_RECENT: Final = FEATURE_NAMES.index("year_recent")
YEAR_LONG: Final = FEATURE_NAMES.index("year_long")
TITLE_WORDS: Final = FEATURE_NAMES.index("title_words")
NEVER_SEEN: Final = FEATURE_NAMES.index("never_seen")
RELEASE_AGE: Final = FEATURE_NAMES.index("release_age")
UNRELEASED: Final = FEATURE_NAMES.index("unreleased")
MEAN_RATING: Final = FEATURE_NAMES.index("mean_rating")
IDLE_EVENTS: Final = FEATURE_NAMES.index("idle_events")
LIFT_SESSION: Final = FEATURE_NAMES.index("lift_session")
LIFT_TIMED: Final = FEATURE_NAMES.index("lift_timed")
STRONGEST_LINK: Final = FEATURE_NAMES.index("strongest_link")
OBSCURITY_RECENT: Final = FEATURE_NAMES.index("obscurity_recent")
OBSCURITY_LONG: Final = FEATURE_NAMES.index("obscurity_long")
GENRE_SET: Final = FEATURE_NAMES.index("genre_set")
STREAM_AGE: Final = FEATURE_NAMES.index("stream_age")
CATALOGUE_ERA: Final = FEATURE_NAMES.index("catalogue_era")
FIRST_RATE: Final = FEATURE_NAMES.index("first_rate")
UNSEEN_GENRE: Final = FEATURE_NAMES.index("unseen_genre")
UNSEEN_YEAR: Final = FEATURE_NAMES.index("unseen_year")
UNSEEN_ERA: Final = FEATURE_NAMES.index("unseen_era")

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

# The first column of each one-hot group, and the column of each number behind them.
HISTORY_0: Final = CONTEXT_NAMES.index("history_0")
GAP_0: Final = CONTEXT_NAMES.index("gap_0")
LOG_HISTORY: Final = CONTEXT_NAMES.index("log_history")
LAST_VALUE: Final = CONTEXT_NAMES.index("last_value")
MEAN_VALUE: Final = CONTEXT_NAMES.index("mean_value")
UNSEEN_SHARE: Final = CONTEXT_NAMES.index("unseen_share")
PICK_COUNT: Final = CONTEXT_NAMES.index("pick_count")
