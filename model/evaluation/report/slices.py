"""Parts of the graded events that are looked at by themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from millrace.model.evaluation.outcomes import GradedEvents
from millrace.producers.movielens.users import UserFacts
from millrace.streams.catalogue import Catalogue
from millrace.streams.ranking.columns import GAP_BOUNDS_S
from millrace.streams.statistics.popularity import HISTORY_BUCKET_BOUNDS

Mask = NDArray[np.bool_]
# Upper bounds of a user's events so far, for how well newcomers are served.
_FIRST_EVENTS = {"1st": 0, "2nd-5th": 4, "6th-10th": 9, "11th-20th": 19}
_ACTIVITY_GROUPS = 5
# The age groups that ml-1m knows; exact ages are put into the same ones.
_AGE_BOUNDS = {"under 18": 17, "18-24": 24, "25-34": 34, "35-44": 44, "45-49": 49, "50-55": 55}
_OLDEST = "56 and over"
_GENDERS = {"F": "women", "M": "men"}
_UNITS_S = {"d": 86_400.0, "h": 3_600.0, "min": 60.0, "s": 1.0}


@dataclass(frozen=True, slots=True)
class Slicing:
    """One way of cutting the graded events into groups.

    Args:
        by: What it goes by, as people read it.
        groups: Label -> [E] which events; in the order to show. Events may be in several groups or in none.
    """

    by: str
    groups: Mapping[str, Mask]


def by_history_length(graded: GradedEvents) -> Slicing:
    """Cut by the user's events before, in the buckets that the features know."""
    return Slicing("history length", _buckets(graded.history_lengths, HISTORY_BUCKET_BOUNDS, _range_labels()))


def first_events(graded: GradedEvents) -> Slicing:
    """Cut by which of its user's events an event is: the first one is answered without any history."""
    return Slicing(
        "event of the user", _buckets(graded.history_lengths, tuple(_FIRST_EVENTS.values()), [*_FIRST_EVENTS, "later"])
    )


def by_gap(graded: GradedEvents) -> Slicing:
    """Cut by the time since the user's event before."""
    bounds = [_duration(bound) for bound in GAP_BOUNDS_S]
    labels = [f"up to {bound}" for bound in bounds] + [f"over {bounds[-1]}"]
    groups = {"first event": np.isinf(graded.gaps_s)}
    groups |= _buckets(np.where(np.isinf(graded.gaps_s), np.nan, graded.gaps_s), GAP_BOUNDS_S, labels)
    return Slicing("time since the user's last event", groups)


def by_genre(graded: GradedEvents, catalogue: Catalogue) -> Slicing:
    """Cut by the genres of the event's item; an item with two genres is in two groups."""
    genres = catalogue.genres[graded.items]
    groups = {name: (genres == number).any(axis=1) for number, name in enumerate(catalogue.genre_names, start=1)}
    groups = dict(sorted(groups.items()))
    groups["no genre"] = (genres == 0).all(axis=1)
    return Slicing("genre of the item", _not_empty(groups))


def by_activity(graded: GradedEvents) -> Slicing:
    """Cut by how many graded events the user has in all: fifths of the users."""
    present, places, counts = np.unique(graded.users, return_inverse=True, return_counts=True)
    shares = np.arange(1, _ACTIVITY_GROUPS) / _ACTIVITY_GROUPS
    bounds = sorted({int(bound) for bound in np.quantile(counts, shares, method="lower")} - {int(counts.max())})
    edges = [*bounds, int(counts.max())]
    starts = [int(counts.min()), *(bound + 1 for bound in bounds)]
    labels = [_range(first, last) for first, last in zip(starts, edges, strict=True)]
    return Slicing("graded events of the user", _not_empty(_buckets(counts[places], tuple(bounds), labels)))


def by_gender(graded: GradedEvents, facts: Mapping[str, UserFacts]) -> Slicing:
    """Cut by gender, as far as the data knows it."""
    known = np.array([_gender(facts.get(user)) for user in graded.user_ids])[graded.users]
    return Slicing("gender", _not_empty({name: known == name for name in sorted(set(known.tolist()) - {""})}))


def by_age(graded: GradedEvents, facts: Mapping[str, UserFacts]) -> Slicing:
    """Cut by age in years, as far as the data knows it."""
    ages = np.array([_age(facts.get(user)) for user in graded.user_ids])[graded.users]
    return Slicing("age", _not_empty(_buckets(ages, tuple(_AGE_BOUNDS.values()), [*_AGE_BOUNDS, _OLDEST])))


def _gender(facts: UserFacts | None) -> str:
    if facts is None or facts.gender is None:
        return ""
    return _GENDERS.get(facts.gender, facts.gender)


def _age(facts: UserFacts | None) -> float:
    return float("nan") if facts is None or facts.age is None else float(facts.age)


def _buckets(values: NDArray[np.generic], bounds: Sequence[float], labels: Sequence[str]) -> dict[str, Mask]:
    """Return value <= bounds[0], bounds[0] < value <= bounds[1], ..., above the last; NaN is in none."""
    numbers = np.asarray(values, np.float64)
    bucket = np.searchsorted(np.asarray(bounds, np.float64), numbers, side="left")
    return {label: (bucket == place) & ~np.isnan(numbers) for place, label in enumerate(labels)}


def _range_labels() -> list[str]:
    starts = [0, *(bound + 1 for bound in HISTORY_BUCKET_BOUNDS)]
    labels = [_range(first, last) for first, last in zip(starts, HISTORY_BUCKET_BOUNDS, strict=False)]
    return [*labels, f"over {HISTORY_BUCKET_BOUNDS[-1]}"]


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def _duration(seconds: float) -> str:
    for unit, size in _UNITS_S.items():
        if seconds >= size:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def _not_empty(groups: Mapping[str, Mask]) -> dict[str, Mask]:
    return {label: mask for label, mask in groups.items() if mask.any()}
