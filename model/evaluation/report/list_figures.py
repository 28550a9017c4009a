"""What the shown lists look like, whoever was right: coverage, novelty, diversity, concentration."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from millrace.streams.catalogue import GENRES_PER_ITEM, MAX_GENRES, Catalogue

# Lists whose item pairs are compared at a time.
_CHUNK = 4_096
_CURVE_POINTS = 101

Shown = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class ListFigures:
    """Figures of all shown lists of one system.

    Args:
        coverage: Share of the available catalogue that was shown at least once.
        novelty: Mean of -log2(share of all events) of a shown item, in bits; higher is less popular.
        diversity: Mean dissimilarity of two items of a list, 0 to 1.
        concentration: Gini coefficient of how often the items of the catalogue are shown; 1 is one item alone.
    """

    coverage: float
    novelty: float
    diversity: float
    concentration: float


def list_figures(shown: Shown, item_events: NDArray[np.int64], catalogue: Catalogue) -> ListFigures:
    """Return the figures of lists.

    Args:
        shown: [E, L] items, 0 where fewer.
        item_events: [N] events of each item in all of the stream that was read.
        catalogue: Items with genres.
    """
    times_shown = np.bincount(shown[shown > 0], minlength=len(catalogue.available))
    impressions = times_shown[catalogue.available]
    return ListFigures(
        coverage=float((impressions > 0).mean()),
        novelty=novelty(shown, item_events, int(catalogue.available.sum())),
        diversity=diversity(shown, catalogue.genres),
        concentration=_gini(impressions),
    )


def novelty(shown: Shown, item_events: NDArray[np.int64], items: int) -> float:
    """Return the mean self-information of the shown items, in bits.

    An item's share is (events + 1) / (all events + items), so that one without events has a finite value. Counts are
    those of the whole stream, the same for every system and every moment. T. Zhou et al., "Solving the apparent
    diversity-accuracy dilemma of recommender systems", PNAS 107 (2010).
    """
    listed = shown[shown > 0]
    if not len(listed):
        return float("nan")
    counts = np.zeros(max(len(item_events), int(listed.max()) + 1))
    counts[: len(item_events)] = item_events
    shares = (counts + 1.0) / (counts.sum() + items)
    return float(-np.log2(shares[listed]).mean())


def diversity(shown: Shown, genres: NDArray[np.int16]) -> float:
    """Return the mean over lists of the mean of 1 - Jaccard(genres of one item, genres of another), all pairs.

    Pairs with an item without genres are left out, and lists without any pair. C.-N. Ziegler et al., "Improving
    recommendation lists through topic diversification", WWW 2005 (intra-list similarity).

    Args:
        shown: [E, L] items, 0 where fewer.
        genres: [N, GENRES_PER_ITEM] genre ids from 1, 0 where fewer.
    """
    members = _genre_members(genres)
    total, lists = 0.0, 0
    for first in range(0, len(shown), _CHUNK):
        means = _list_means(members[shown[first : first + _CHUNK]])
        total += float(np.nansum(means))
        lists += int(np.isfinite(means).sum())
    return total / lists if lists else float("nan")


def shown_share_curve(shown: Shown, items: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return which share of all shown places goes to the most shown share of the catalogue: a curve from 0 to 1."""
    counts = np.sort(np.bincount(shown[shown > 0], minlength=1))[::-1].astype(np.float64)[:items]
    cumulative = np.zeros(items + 1)
    cumulative[1 : len(counts) + 1] = np.cumsum(counts)
    cumulative[len(counts) + 1 :] = cumulative[len(counts)]
    shares = np.linspace(0.0, 1.0, _CURVE_POINTS) ** 2  # most happens among the first items
    places = np.round(shares * items).astype(np.int64)
    return shares, cumulative[places] / max(cumulative[-1], 1.0)


def _genre_members(genres: NDArray[np.int16]) -> NDArray[np.float32]:
    """Return [N, MAX_GENRES] 1 for each genre of an item."""
    members = np.zeros((len(genres), MAX_GENRES), np.float32)
    for place in range(GENRES_PER_ITEM):
        members[np.arange(len(genres)), genres[:, place]] = 1.0
    members[:, 0] = 0.0
    return members


def _list_means(members: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return [E] mean pair dissimilarities of [E, L, G] genre memberships, NaN for a list without a pair."""
    sizes = members.sum(axis=2)
    common = members @ members.transpose(0, 2, 1)
    union = sizes[:, :, None] + sizes[:, None, :] - common
    with np.errstate(divide="ignore", invalid="ignore"):
        dissimilar = 1.0 - common / union
    counted = (sizes[:, :, None] > 0) & (sizes[:, None, :] > 0)
    counted &= np.triu(np.ones(counted.shape[1:], np.bool_), k=1)
    pairs = counted.sum(axis=(1, 2))
    sums = np.where(counted, dissimilar, 0.0).sum(axis=(1, 2), dtype=np.float64)
    return np.asarray(np.divide(sums, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0))


def _gini(counts: NDArray[np.int64]) -> float:
    """Return the Gini coefficient of non-negative counts; 0 if nothing was shown."""
    ascending = np.sort(counts).astype(np.float64)
    total = ascending.sum()
    if not total:
        return 0.0
    places = np.arange(1, len(ascending) + 1)
    return float(2.0 * (places * ascending).sum() / (len(ascending) * total) - (len(ascending) + 1) / len(ascending))
