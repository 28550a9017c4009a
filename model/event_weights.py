"""Estimates the weight of each event type: `python -m millrace.model.event_weights FOLDER --as-activities`.

Counts of what follows what are kept by the type of the following event. Before a user first touches an item that the
user went on to value, the chance that a weighted sum of these counts gives the item is noted; the weights are those
under which what people came to value was least surprising.
"""

import argparse
import json
import sys
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.contracts import ActivityEvent, EventPolicy
from millrace.kernel.errors import ConfigurationError

_GRID = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0)
_LAGS, _DECAY = 5, 0.8
# Pseudo-count with which a row backs off to popularity, as in the ranking.
_BACK_OFF = 10.0
# An event of at least this value says that its item was valued, one of at most that value that it was not.
_VALUED, _UNWANTED = 4.0, 2.0
_SWEEPS = 5
_FIRST_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the counts of each type said before each of M valued items was first touched, by T types.

    Args:
        types: The T types.
        followed: [M, T] decayed counts of the item behind the user's last ones.
        rows: [M, T] decayed counts of anything behind them.
        popular: [M, T] events of the item.
        totals: [M, T] events of anything.
        lags: [M] sum of the decay over the user's last items.
        items: Items in the log.
    """

    types: tuple[str, ...]
    followed: NDArray[np.float64]
    rows: NDArray[np.float64]
    popular: NDArray[np.float64]
    totals: NDArray[np.float64]
    lags: NDArray[np.float64]
    items: int

    def log_likelihood(self, weights: NDArray[np.float64]) -> float:
        """Return the mean log chance of the valued items under weights [T]."""
        share = (self.popular @ weights + 1.0 / self.items) / (self.totals @ weights + 1.0)
        back_off = _BACK_OFF * self.lags
        chance = (self.followed @ weights + back_off * share) / (self.rows @ weights + back_off)
        return float(np.log(chance).mean())


def gather(events: Sequence[ActivityEvent], policy: EventPolicy) -> Evidence:
    """Run once over a log, in order, and note what the counts said of each valued item beforehand.

    Raises:
        ConfigurationError: Nobody valued anything.
    """
    types = tuple(sorted({event.type for event in events}))
    number = {name: place for place, name in enumerate(types)}
    valued = {(event.user_id, event.item_id) for event in events if policy.value_of(event) >= _VALUED}
    counts = _FollowCounts(len(types))
    noted: list[tuple[NDArray[np.float64], ...]] = []
    recent: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=_LAGS))
    touched: set[tuple[str, str]] = set()
    for event in events:
        pair, history = (event.user_id, event.item_id), recent[event.user_id]
        if pair in valued and pair not in touched and history:
            noted.append(counts.look(history, event.item_id))
        counts.learn(history, event.item_id, number[event.type])
        touched.add(pair)
        if event.item_id in history:
            history.remove(event.item_id)
        history.appendleft(event.item_id)
    if not noted:
        raise ConfigurationError("The log holds no item that a user came to value: nothing can be estimated from it.")
    followed, rows, popular, totals, lags = (np.array(column) for column in zip(*noted, strict=True))
    return Evidence(types, followed, rows, popular, totals, lags, len({event.item_id for event in events}))


class _FollowCounts:
    """Decayed transitions and popularity by event type."""

    def __init__(self, types: int) -> None:
        self._types = types
        self._followed: defaultdict[tuple[str, str], NDArray[np.float64]] = defaultdict(self._zeros)
        self._rows: defaultdict[str, NDArray[np.float64]] = defaultdict(self._zeros)
        self._popular: defaultdict[str, NDArray[np.float64]] = defaultdict(self._zeros)
        self._totals = self._zeros()

    def _zeros(self) -> NDArray[np.float64]:
        return np.zeros(self._types)

    def look(self, history: Iterable[str], item: str) -> tuple[NDArray[np.float64], ...]:
        """Return what is known of an item behind a history, as the columns of `Evidence`."""
        followed, rows, lags = self._zeros(), self._zeros(), 0.0
        for lag, before in enumerate(history):
            weight = _DECAY**lag
            lags += weight
            rows += weight * self._rows[before]
            if (before, item) in self._followed:
                followed += weight * self._followed[before, item]
        return followed, rows, self._popular[item].copy(), self._totals.copy(), np.array(lags)

    def learn(self, history: Iterable[str], item: str, kind: int) -> None:
        """Count that an item followed a history by an event of a type."""
        for lag, before in enumerate(history):
            if before != item:
                self._followed[before, item][kind] += _DECAY**lag
                self._rows[before][kind] += _DECAY**lag
        self._popular[item][kind] += 1.0
        self._totals[kind] += 1.0


def estimate(events: Sequence[ActivityEvent], policy: EventPolicy) -> dict[str, float]:
    """Return the weight of each type in a log; the commonest type of valued events has weight 1.

    The weights are found by coordinate ascent over a grid. A type that stands for an unwanted item has weight 0.

    Args:
        events: The log in order.
        policy: Tells what types without values stand for.

    Raises:
        ConfigurationError: Nobody valued anything.
    """
    evidence = gather(events, policy)
    unwanted = {event.type for event in events if event.value is None and policy.value_of(event) <= _UNWANTED}
    valued = Counter(event.type for event in events if policy.value_of(event) >= _VALUED)
    reference = valued.most_common(1)[0][0]
    weights = np.array([0.0 if name in unwanted else 1.0 for name in evidence.types])
    free = [place for place, name in enumerate(evidence.types) if name != reference and name not in unwanted]
    for _ in range(_SWEEPS):
        before = weights.copy()
        for place in free:
            weights[place] = _best(evidence, weights, place)
        if (weights == before).all():
            break
    return dict(zip(evidence.types, weights.tolist(), strict=True))


def _best(evidence: Evidence, weights: NDArray[np.float64], place: int) -> float:
    """Return the likeliest value of the grid for one weight, the others staying; ties go to the smaller."""
    likelihoods = []
    for value in _GRID:
        changed = weights.copy()
        changed[place] = value
        likelihoods.append(evidence.log_likelihood(changed))
    return _GRID[int(np.argmax(likelihoods))]


def gain_over(evidence: Evidence, weights: Mapping[str, float], others: Mapping[str, float]) -> float:
    """Return by how much the mean log-likelihood of `weights` is above that of others; types left out have weight 1."""
    ours, theirs = (np.array([each.get(name, 1.0) for name in evidence.types]) for each in (weights, others))
    return evidence.log_likelihood(ours) - evidence.log_likelihood(theirs)


def main(arguments: Sequence[str] | None = None) -> int:
    """Estimate the weights on the first part of a MovieLens folder and print them as a setting."""
    from millrace.producers.activities import as_activities
    from millrace.producers.movielens import load_movielens

    parser = argparse.ArgumentParser(prog="python -m millrace.model.event_weights", description=main.__doc__)
    parser.add_argument("path", type=Path, help="MovieLens folder")
    parser.add_argument("--as-activities", action="store_true", help="views, likes and purchases made from the ratings")
    parser.add_argument("--first", type=float, default=_FIRST_SHARE, help="share of the ratings to learn from")
    parser.add_argument("--seed", type=int, default=0, help="orders ratings of the same second")
    options = parser.parse_args(arguments)
    ratings = load_movielens(options.path, options.seed).events(0.0, options.first)
    weights = estimate(list(as_activities(ratings) if options.as_activities else ratings), EventPolicy())
    sys.stdout.write(f"MILLRACE_EVENT_WEIGHTS={json.dumps(weights)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
