"""The fusion weights that serve before any model version exists.

Learned online, from weights set by hand, on the first 30 % of ml-latest-small and rounded; small context weights are
left out, and those of the time gap folded into the others, since a list is made right after its user's event. The
command: `python -m model.prequential_report data/ml-latest-small --start 0.2 --events 10000 --lists-from 0.02
--contenders learned --moment after_event --weights weights.json`
"""

from collections.abc import Mapping
from typing import Final

DEFAULT_WEIGHTS: Final[Mapping[str, float]] = {
    "transition_short": 0.19,
    "transition_session": 0.22,
    "transition_long": -0.03,
    "transition_wide": 0.1,
    "transition_timed": 0.54,
    "popular_300": 0.17,
    "popular_3000": -0.11,
    "popular_30000": -0.09,
    "popular_history": 0.2,
    "popular_ever": -0.13,
    "covisited": 0.24,
    "covisited_liked": 0.2,
    "covisited_disliked": 0.01,
    "genre_last": 0.06,
    "genre_recent": 0.08,
    "genre_long": 0.08,
    "year_recent": 0.33,
    "year_long": 0.15,
    "title_words": 0.02,
    "never_seen": -0.38,
    "release_age": -0.02,
    "unreleased": -2.0,
    "mean_rating": 0.31,
    "idle_events": 0.18,
}

# Additions per unit of a context entry.
DEFAULT_CONTEXT_WEIGHTS: Final[Mapping[str, Mapping[str, float]]] = {
    "history_0": {
        "popular_300": 0.18,
        "popular_history": 0.19,
        "release_age": 0.06,
        "idle_events": -0.21,
        "covisited_liked": -0.05,
        "covisited": -0.05,
    },
    "history_1": {
        "transition_short": -0.06,
        "transition_session": -0.06,
        "transition_long": -0.06,
        "transition_wide": -0.13,
        "transition_timed": -0.12,
        "popular_300": 0.12,
        "popular_3000": 0.11,
        "popular_30000": 0.09,
        "popular_history": 0.12,
        "popular_ever": 0.09,
        "genre_last": -0.06,
        "genre_recent": -0.07,
        "genre_long": -0.07,
        "title_words": -0.09,
        "mean_rating": 0.08,
    },
    "history_2": {
        "transition_wide": -0.1,
        "transition_timed": -0.07,
        "popular_300": 0.07,
        "popular_3000": 0.08,
        "popular_30000": 0.05,
        "popular_history": 0.05,
        "popular_ever": 0.05,
        "covisited_disliked": 0.06,
        "genre_last": -0.07,
        "genre_recent": -0.06,
        "genre_long": -0.06,
        "title_words": -0.08,
        "mean_rating": 0.08,
    },
    "history_3": {
        "transition_timed": 0.06,
        "popular_300": 0.08,
        "popular_ever": -0.05,
        "genre_last": -0.05,
        "idle_events": -0.06,
    },
    "history_4": {
        "transition_timed": 0.07,
        "popular_30000": -0.06,
        "popular_ever": -0.07,
        "mean_rating": 0.07,
    },
    "history_5": {
        "transition_timed": 0.05,
        "popular_3000": -0.05,
        "popular_30000": -0.05,
        "popular_ever": -0.06,
        "genre_long": 0.05,
        "idle_events": 0.07,
    },
    "history_6": {
        "popular_3000": -0.05,
        "genre_long": 0.08,
        "idle_events": 0.07,
    },
    "history_7": {
        "transition_short": -0.06,
        "transition_session": -0.05,
        "transition_long": -0.05,
        "transition_timed": -0.06,
        "popular_history": -0.05,
        "covisited": 0.05,
        "covisited_liked": 0.05,
        "genre_long": 0.05,
        "year_recent": 0.05,
        "release_age": -0.06,
        "idle_events": 0.08,
    },
    "history_8": {
        "transition_short": -0.09,
        "transition_session": -0.07,
        "transition_long": -0.05,
        "covisited": 0.05,
        "mean_rating": -0.12,
        "idle_events": 0.07,
    },
    "log_history": {
        "transition_long": -0.05,
        "popular_3000": -0.06,
        "popular_ever": -0.05,
        "covisited": 0.06,
        "covisited_liked": 0.06,
        "idle_events": 0.11,
    },
    "last_value": {
        "covisited_liked": 0.06,
        "covisited_disliked": -0.05,
        "genre_long": -0.05,
        "never_seen": -0.06,
        "mean_rating": 0.17,
    },
    "mean_value": {
        "never_seen": -0.06,
        "mean_rating": 0.05,
    },
}
