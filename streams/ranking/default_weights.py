"""The fusion weights that serve before any model version exists, rounded."""

from collections.abc import Mapping
from typing import Final

DEFAULT_WEIGHTS: Final[Mapping[str, float]] = {
    "transition_short": 0.2,
    "transition_session": 0.2,
    "transition_long": 0.1,
    "transition_wide": 0.1,
    "transition_timed": 0.5,
    "popular_300": 0.05,
    "popular_3000": 0.0,
    "popular_30000": 0.0,
    "popular_history": 0.1,
    "popular_ever": 0.0,
    "covisited": 0.1,
    "covisited_liked": 0.05,
    "covisited_disliked": 0.0,
    "genre_last": 0.05,
    "genre_recent": 0.1,
    "genre_long": 0.1,
    "year_recent": 0.3,
    "year_long": 0.2,
    "title_words": 0.1,
    "never_seen": -0.5,
    "release_age": 0.0,
    "unreleased": -2.0,
    "mean_rating": 0.2,
    "idle_events": -0.05,
}

DEFAULT_CONTEXT_WEIGHTS: Final[Mapping[str, Mapping[str, float]]] = {}
