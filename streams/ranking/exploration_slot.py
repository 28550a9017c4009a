"""New items for the exploration slot of a list, each with the best score available."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.user_state import UserState
from millrace.streams.catalogue import MAX_GENRES
from millrace.streams.ranking.candidates import CandidateStep
from millrace.streams.ranking.exploration_kernel import best_suited
from millrace.streams.ranking.popularity_view import NEW_ITEM_EVENTS
from millrace.streams.ranking.profile_kernel import FIRST_YEAR, PROFILES, YEARS, profile_ratios

# Items offered that the ranking has scored, and items offered for their genres and year alone.
_SCORED, _UNSCORED = 16, 32
# The profile with the longest memory: taste moves slowly.
_LONG = PROFILES - 1
# Affinity of an item that does not say its genre, or its year: below the average item's 0.
_UNKNOWN = -1.0


@dataclass(frozen=True, slots=True)
class Offer:
    """New items that a list may show.

    Args:
        items: [K] int32.
        scores: [K] float32 log odds for this user, up to a constant.
    """

    items: NDArray[np.int32]
    scores: NDArray[np.float32]


def new_items_for(
    state: UserState,
    ranked: NDArray[np.int32],
    scores: NDArray[np.float32],
    kept: Sequence[int],
    step: CandidateStep,
) -> Offer:
    """Return the new items that may take a place of the list.

    New items of the ranking keep their score. Unscored ones are chosen and ordered by how well they suit the user's
    genres and years, and come below.

    Args:
        state: The user.
        ranked: [K] items of the ranking that may be shown, best first.
        scores: [K] their scores.
        kept: Items that the list has already.
        step: Catalogue, counts and view, prepared.
    """
    counts = step.statistics.popularity.counts
    listed = set(kept)
    fresh = np.flatnonzero(counts[ranked] < NEW_ITEM_EVENTS).tolist()
    places = [place for place in fresh if int(ranked[place]) not in listed][:_SCORED]
    unscored, affinities = _unscored(state, np.append(ranked, np.array(kept, np.int32)), step)
    lowest = float(scores.min()) if len(scores) else 0.0
    below = lowest + affinities - affinities.max(initial=0.0)
    return Offer(np.append(ranked[places], unscored), np.append(scores[places], below).astype(np.float32))


def _unscored(
    state: UserState, known: NDArray[np.int32], step: CandidateStep
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Return the new items outside of `known` whose content suits the user best, best first, and how well it does."""
    catalogue, view, marks = step.catalogue, step.view, step.marks
    genre_ratios, year_ratios = np.zeros((PROFILES, MAX_GENRES)), np.zeros((PROFILES, YEARS), np.float32)
    profile_ratios(
        state.items.copy(),
        view.items,
        view.content.set_genres,
        view.genre_shares,
        view.year_shares,
        genre_ratios,
        year_ratios,
    )
    taken = np.append(known, state.touched[state.touched < len(marks)])
    marks[taken] = 1
    items, affinities = np.zeros(_UNSCORED, np.int32), np.zeros(_UNSCORED)
    size = best_suited(
        catalogue.available,
        step.statistics.popularity.counts,
        NEW_ITEM_EVENTS,
        marks,
        catalogue.genres,
        catalogue.years,
        genre_ratios[_LONG],
        year_ratios[_LONG],
        FIRST_YEAR,
        _UNKNOWN,
        items,
        affinities,
    )
    marks[taken] = 0
    return items[:size], affinities[:size]
