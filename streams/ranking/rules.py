"""From a ranked pool to the list that is shown: rules, diversity, exploration, reasons."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.contracts import ReasonCode
from millrace.kernel.user_state import UserState
from millrace.streams.catalogue import MAX_GENRES, Catalogue
from millrace.streams.compiled import plain
from millrace.streams.ranking.candidate_batch import CandidateBatch
from millrace.streams.ranking.candidates import CandidateStep
from millrace.streams.ranking.exploration import ExplorationPolicy, draws
from millrace.streams.ranking.exploration_slot import new_items_for
from millrace.streams.ranking.popularity_view import NEW_ITEM_EVENTS
from millrace.streams.ranking.rules_kernel import allowed_places, causes, diversify
from millrace.streams.scoring.scorer import RANKED, ScoreRequest, ScoreResponse


@dataclass(frozen=True, slots=True)
class ListRules:
    """How a list is made from a ranking.

    Args:
        list_length: Items shown.
        diversity: Score (log odds) that an item loses if it equals one above it; 0 turns diversity off.
        exploration_rate: Share of lists whose last place goes to a new item; 0 to 1.
    """

    list_length: int = 10
    diversity: float = 0.1
    exploration_rate: float = 0.05


@dataclass(frozen=True, slots=True)
class RankedItems:
    """A ranking of one user's candidates, best first; index 0 is padding.

    Args:
        items: [K] int32.
        scores: [K] float32.
        predicted_ratings: [K] float32, or None where no model scored.
        because: [K] item index that the model's network finds most similar, 0 for none; or None. Used as a
            reason if removing no history item would lower the score.
    """

    items: NDArray[np.int32]
    scores: NDArray[np.float32]
    predicted_ratings: NDArray[np.float32] | None = None
    because: NDArray[np.int32] | None = None

    @classmethod
    def from_linear(cls, batch: CandidateBatch, row: int) -> "RankedItems":
        """Return the ranking by the linear fusion: the fallback while no model answers."""
        return cls(batch.candidates[row, :RANKED], batch.linear[row, :RANKED])

    @classmethod
    def from_response(cls, request: ScoreRequest, response: ScoreResponse, row: int) -> "RankedItems":
        """Return a model's ranking of one row."""
        places = response.because[row]
        because = np.where(places >= 0, request.history[row][places], 0).astype(np.int32)
        return cls(response.items[row], response.scores[row], response.predicted_ratings[row], because)


@dataclass(frozen=True, slots=True)
class ListedItem:
    """One place of a list, in dense indexes.

    Args:
        item: Item index.
        score: Comparable within the list only.
        predicted_rating: 0.5 to 5, or None where no model scored.
        reason: Why it is there.
        because: Index of the history item, with `because_you_rated` only.
        propensity: Probability that this item took the place, with `explore` only.
    """

    item: int
    score: float
    predicted_rating: float | None
    reason: ReasonCode
    because: int | None = None
    propensity: float | None = None


def select_list(
    rules: ListRules,
    ranked: RankedItems,
    state: UserState,
    step: CandidateStep,
    recommendation_id: str,
    vectors: NDArray[np.float16] | NDArray[np.float32] | None = None,
    exploration: ExplorationPolicy | None = None,
) -> list[ListedItem]:
    """Return the list to show: no touched, unavailable or unknown item whatever the ranking says.

    Args:
        rules: Length, diversity, exploration.
        ranked: The ranking.
        state: The user, as the ranking was made for.
        step: The candidate step that made the candidates; read for catalogue, counts and evidence.
        recommendation_id: Decides the exploration slot, so that a repeated computation gives the same list.
        vectors: [N + 1, d] item vectors of the model version; items without one are compared by genres.
        exploration: Chooses for the exploration slot; read only. None is a policy without counts.
    """
    step.prepare()
    allowed = allowed_places(
        plain(ranked.items), plain(ranked.scores), plain(state.touched), step.catalogue.available, step.marks
    )
    places, items, scores = allowed, ranked.items[allowed], ranked.scores[allowed]
    if rules.diversity > 0.0 and len(items) > 1:
        chosen = diversify(scores, _unit_vectors(items, step.catalogue, vectors), rules.diversity, rules.list_length)
        places, items = places[chosen], items[chosen]
    places, items = places[: rules.list_length], items[: rules.list_length]
    listed = _with_reasons(ranked, places, items, state, step)
    chance, draw = draws(recommendation_id)
    if chance >= rules.exploration_rate:
        return listed
    new = _explored(rules, listed, ranked, allowed, state, step, exploration or ExplorationPolicy(), draw)
    return [*listed[: rules.list_length - 1], new] if new else listed


def _unit_vectors(
    items: NDArray[np.int32], catalogue: Catalogue, vectors: NDArray[np.float16] | NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """Return [K, d] vectors of length 1: the version's, or genres if an item of the list has none."""
    if vectors is not None and int(items.max()) < len(vectors):
        raw = vectors[items].astype(np.float32)
    else:
        raw = np.zeros((len(items), MAX_GENRES), np.float32)
        raw[np.arange(len(items))[:, None], catalogue.genres[items]] = 1.0
        raw[:, 0] = 0.0
    norms = np.sqrt((raw * raw).sum(axis=1, keepdims=True))
    return np.asarray(raw / np.maximum(norms, 1e-12), np.float32)


def _with_reasons(
    ranked: RankedItems,
    places: NDArray[np.int64],
    items: NDArray[np.int32],
    state: UserState,
    step: CandidateStep,
) -> list[ListedItem]:
    rows, counts = step.statistics.rows, step.statistics.popularity.counts
    spoken = causes(
        items,
        plain(state.items),
        step.statistics.clock,
        rows.ids,
        rows.values,
        rows.lengths,
        rows.sums,
        rows.landmarks,
        counts,
        step.view.shares,
        step.marks,
    )
    # An entry whose removal lowers the score comes before one that the network finds similar.
    similar = ranked.because[places].tolist() if ranked.because is not None else [0] * len(items)
    unrated = [None] * len(items)
    ratings = ranked.predicted_ratings[places].tolist() if ranked.predicted_ratings is not None else unrated
    late = (step.view.added_lately[items] & (counts[items] < NEW_ITEM_EVENTS)).tolist()
    described = zip(
        items.tolist(), ranked.scores[places].tolist(), ratings, spoken.tolist(), similar, late, strict=True
    )
    listed = []
    for item, score, rating, lag, alike, new in described:
        because = int(state.items[lag]) if lag >= 0 else alike
        without = ReasonCode.NEW if new else ReasonCode.TRENDING
        reason = ReasonCode.BECAUSE_YOU_RATED if because else without
        listed.append(ListedItem(item, score, rating, reason, because or None))
    return listed


def _explored(
    rules: ListRules,
    listed: list[ListedItem],
    ranked: RankedItems,
    allowed: NDArray[np.int64],
    state: UserState,
    step: CandidateStep,
    policy: ExplorationPolicy,
    draw: float,
) -> ListedItem | None:
    """Return the new item that takes the last place, or None if there is none worth it."""
    kept = [entry.item for entry in listed]
    offer = new_items_for(state, ranked.items[allowed], ranked.scores[allowed], kept, step)
    chosen = policy.choose(offer.items, offer.scores, draw)
    if chosen is None:
        return None
    lowest = min((entry.score for entry in listed[: rules.list_length - 1]), default=0.0)
    propensity = rules.exploration_rate * chosen.chance
    return ListedItem(chosen.item, lowest, None, ReasonCode.EXPLORE, propensity=propensity)
