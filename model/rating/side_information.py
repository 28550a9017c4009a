"""What is known of users and items besides the ratings, as features of a factorisation."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.contracts import CatalogueItem
from millrace.model.content import content_matrix, genre_vocabulary
from millrace.model.rating.chain import Moods
from millrace.model.rating.consumption import leading_vectors
from millrace.model.rating.gibbs import Ratings
from millrace.producers.movielens.users import UserFacts

# Directions of "who rated what" beyond these carry next to nothing.
_IMPLICIT_WIDTH = 200
_AGE_KNOTS = (18.0, 25.0, 35.0, 45.0, 55.0)
_PLACE_LENGTHS = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0])
_SECOND_LENGTHS = np.array([60.0, 600.0, 3.6e3, 2.16e4, 8.64e4, 6.048e5, 2.6e6, 1.6e7, 9.6e7])


def user_features(
    ratings: Ratings, users: Sequence[str], items: Sequence[str], facts: Mapping[str, UserFacts], seed: int
) -> NDArray[np.float64]:
    """Return [U, F]: what a user rated, whatever the rating (as in SVD++), and demographics where known."""
    implicit = _implicit(ratings.users, ratings.items, len(users), len(items), seed)
    return np.hstack([implicit, _demographics([facts.get(user, UserFacts()) for user in users])])


def item_features(
    ratings: Ratings, users: Sequence[str], items: Sequence[str], catalogue: Mapping[str, CatalogueItem], seed: int
) -> NDArray[np.float64]:
    """Return [I, F]: who rated an item, whatever the rating, and genres and year where known."""
    implicit = _implicit(ratings.items, ratings.users, len(items), len(users), seed)
    if not catalogue:
        return implicit
    known = {place: catalogue.get(name, CatalogueItem(item_id=name)) for place, name in enumerate(items)}
    content = content_matrix(known, genre_vocabulary(known.values()), len(items)).astype(np.float64)
    return np.hstack([implicit, content])


def moods_of(ratings: Ratings, train_ts_s: NDArray[np.float64], test_ts_s: NDArray[np.float64]) -> list[Moods]:
    """Return paths over the order of a user's training ratings and over time.

    A test rating lies between the training ratings before and after it; other test ratings have no part in that.

    Args:
        ratings: Both parts.
        train_ts_s: [N] times.
        test_ts_s: [M] times.
    """
    users = np.concatenate([ratings.users, ratings.asked_users])
    times = np.concatenate([train_ts_s, test_ts_s])
    known = len(train_ts_s)
    return [
        Moods(users, _places(users, times, known), known, _PLACE_LENGTHS),
        Moods(users, times, known, _SECOND_LENGTHS),
    ]


def _places(users: NDArray[np.int64], times: NDArray[np.float64], known: int) -> NDArray[np.float64]:
    """Return [N] how many of the first `known` ratings of the same user come before each rating; ties count half."""
    places = np.empty(len(users))
    order = np.argsort(users, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(users[order])) + 1):
        inner = np.sort(times[rows[rows < known]])
        before, until = np.searchsorted(inner, times[rows], "left"), np.searchsorted(inner, times[rows], "right")
        places[rows] = (before + until) / 2.0
    return places


def _implicit(
    own: NDArray[np.int64], other: NDArray[np.int64], count: int, others: int, seed: int
) -> NDArray[np.float64]:
    """Return [count, K] the leading directions of the rows of "who rated what", each row of length one."""
    weights = 1.0 / np.sqrt(np.bincount(own, minlength=count)[own])
    return leading_vectors(own, other, weights, count, others, _IMPLICIT_WIDTH, seed)[0]


def _demographics(facts: Sequence[UserFacts]) -> NDArray[np.float64]:
    """Return [U, F] indicators of gender, occupation and age group; no columns where nobody's are known."""
    columns = [
        *([fact.gender == gender for fact in facts] for gender in _met(fact.gender for fact in facts)),
        *([fact.occupation == name for fact in facts] for name in _met(fact.occupation for fact in facts)),
    ]
    if any(fact.age is not None for fact in facts):
        columns += [[fact.age is not None and fact.age >= knot for fact in facts] for knot in _AGE_KNOTS]
    table: NDArray[np.float64] = np.array(columns, np.float64).reshape(len(columns), len(facts)).T
    table /= np.sqrt(max(len(columns), 1))
    return table


def _met(values: Iterable[str | None]) -> list[str]:
    return sorted({value for value in values if value is not None})
