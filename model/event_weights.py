"""Estimates the weight of each event type: `python -m millrace.model.event_weights FOLDER --as-activities`.

The transitions between items are counted separately for each type of the following event. A weighted sum of these
counts, backed off to popularity, gives the probability of a user's next item. The weights maximise the likelihood of
the first touch of each item that its user valued, now or later.
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
# Pseudo-count of the back-off from transitions to popularity, the same as in the ranking.
_BACK_OFF = 10.0
# An event with at least the first value marks its item as valued; one with at most the second marks it as unwanted.
_VALUED, _UNWANTED = 4.0, 2.0
_SWEEPS = 5
_FIRST_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Evidence:
    """The counts by event type just before each of M first touches of valued items.

    Args:
        types: Names of the T event types.
        followed: [M, T] float64 decayed counts of transitions from the user's last items to the item.
        rows: [M, T] float64 decayed counts of transitions from the user's last items to any item.
        popular: [M, T] float64 number of events of the item.
        totals: [M, T] float64 number of events of all items.
        lags: [M] float64 sum of the decay factors over the user's last items.
        items: Number of items in the log.
    """

    types: tuple[str, ...]
    followed: NDArray[np.float64]
    rows: NDArray[np.float64]
    popular: NDArray[np.float64]
    totals: NDArray[np.float64]
    lags: NDArray[np.float64]
    items: int

    def log_likelihood(self, weights: NDArray[np.float64]) -> float:
        """Return the mean log-likelihood of the valued items.

        Args:
            weights: [T] float64 weight of each event type.
        """
        share = (self.popular @ weights + 1.0 / self.items) / (self.totals @ weights + 1.0)
        back_off = _BACK_OFF * self.lags
        chance = (self.followed @ weights + back_off * share) / (self.rows @ weights + back_off)
        return float(np.log(chance).mean())


def gather(events: Sequence[ActivityEvent], policy: EventPolicy) -> Evidence:
    """Run over a log once and collect the counts before each first touch of a valued item.

    Args:
        events: The log, in order.
        policy: Implied value of each event type.

    Raises:
        ConfigurationError: The log contains no valued item with a history before it.
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
    """Counts of decayed transitions and of item popularity, by event type."""

    def __init__(self, types: int) -> None:
        self._types = types
        self._followed: defaultdict[tuple[str, str], NDArray[np.float64]] = defaultdict(self._zeros)
        self._rows: defaultdict[str, NDArray[np.float64]] = defaultdict(self._zeros)
        self._popular: defaultdict[str, NDArray[np.float64]] = defaultdict(self._zeros)
        self._totals = self._zeros()

    def _zeros(self) -> NDArray[np.float64]:
        return np.zeros(self._types)

    def look(self, history: Iterable[str], item: str) -> tuple[NDArray[np.float64], ...]:
        """Return the counts for an item after a history (newest first), as one row of the columns of `Evidence`."""
        followed, rows, lags = self._zeros(), self._zeros(), 0.0
        for lag, before in enumerate(history):
            weight = _DECAY**lag
            lags += weight
            rows += weight * self._rows[before]
            if (before, item) in self._followed:
                followed += weight * self._followed[before, item]
        return followed, rows, self._popular[item].copy(), self._totals.copy(), np.array(lags)

    def learn(self, history: Iterable[str], item: str, kind: int) -> None:
        """Count the transitions from a history (newest first) to an item; `kind` is the number of the event type."""
        for lag, before in enumerate(history):
            if before != item:
                self._followed[before, item][kind] += _DECAY**lag
                self._rows[before][kind] += _DECAY**lag
        self._popular[item][kind] += 1.0
        self._totals[kind] += 1.0


def estimate(events: Sequence[ActivityEvent], policy: EventPolicy) -> dict[str, float]:
    """Estimate the weight of each event type in a log by coordinate ascent over a grid.

    Args:
        events: The log, in order.
        policy: Implied value of each event type.

    Returns:
        Event type -> weight. The most frequent type among valued events has weight 1, types of unwanted items have
        weight 0.

    Raises:
        ConfigurationError: The log contains no valued item with a history before it.
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
    """Return the grid value of one weight with the highest likelihood, the others fixed; the smallest if tied."""
    likelihoods = []
    for value in _GRID:
        changed = weights.copy()
        changed[place] = value
        likelihoods.append(evidence.log_likelihood(changed))
    return _GRID[int(np.argmax(likelihoods))]


def gain_over(evidence: Evidence, weights: Mapping[str, float], others: Mapping[str, float]) -> float:
    """Return the difference in mean log-likelihood between two sets of weights.

    Args:
        evidence: Counts to evaluate on.
        weights: Event type -> weight; missing types have weight 1.
        others: Event type -> weight, subtracted; missing types have weight 1.
    """
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
