"""Replaying the log through the online statistics, so that training sees what serving would have seen."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from millrace.contracts import CatalogueItem
from model.dataset.events import EventTable
from model.dataset.samples import RankerSamples
from streams.catalogue import Catalogue
from streams.ranking import CandidateStep, FusionWeights
from streams.scoring.protocol import ScoreRequest
from streams.statistics import ItemStatistics
from streams.users import ResolvedEvent, UserState, apply_event

_TOLD_EVERY = 1000


@dataclass(frozen=True, slots=True)
class Moment:
    """A user just before an event that the user had not acted on before.

    Args:
        row: Log row of the event.
        state: The user before it.
        item: What came.
    """

    row: int
    state: UserState
    item: int


class Replay:
    """Statistics, catalogue and users, moved through the log event by event.

    Args:
        items: Dense index -> item.
        events: The log.
    """

    def __init__(self, items: Mapping[int, CatalogueItem], events: EventTable) -> None:
        self.statistics = ItemStatistics()
        self.catalogue = Catalogue()
        for index, item in items.items():
            self.catalogue.upsert(index, item)
        self.step = CandidateStep(self.statistics, self.catalogue)
        self.events = events
        self._users: dict[int, UserState] = {}

    def moments(self) -> Iterator[Moment]:
        """Yield the moment before each first touch; the event is learned when the next one is asked for."""
        events = self.events
        rows = zip(
            events.users.tolist(), events.items.tolist(), events.values.tolist(), events.ts_ms.tolist(), strict=True
        )
        for row, (user, item, value, ts_ms) in enumerate(rows):
            before = self._users.get(user) or UserState(str(user))
            applied = apply_event(before, ResolvedEvent(str(row), str(user), item, value, ts_ms))
            if applied.first_touch:
                yield Moment(row, before, item)
            self._users[user] = applied.state
            self.statistics.update(before, item, value, ts_ms)


def replay_samples(
    replay: Replay,
    rows: frozenset[int],
    weights: FusionWeights,
    told: Callable[[float], None],
    proposals: Mapping[int, NDArray[np.int32]] | None = None,
) -> RankerSamples:
    """Return the ranker's samples of those events that were first touches.

    A request's time is that of the user's newest event, since that is when the list was made.

    Args:
        replay: At its beginning; used up.
        rows: Log rows wanted.
        weights: Linear fusion of the pre-cut.
        told: Told the share of the log that is replayed.
        proposals: Log row -> the network's own best items for the user before that event.
    """
    kept: list[tuple[ScoreRequest, int, int]] = []
    for moment in replay.moments():
        if moment.row % _TOLD_EVERY == 0:
            told(moment.row / len(replay.events))
        if moment.row not in rows:
            continue
        state = moment.state
        if proposals is not None and moment.row in proposals:
            state = replace(state, proposals=proposals[moment.row])
        now_ms = [state.last_ts_ms or int(replay.events.ts_ms[moment.row])]
        request = replay.step.build([state], now_ms, weights).request([state], now_ms)
        kept.append((request, moment.item, _popularity_rank(replay, moment)))
    told(1.0)
    return _stack(kept)


def _popularity_rank(replay: Replay, moment: Moment) -> int:
    """Return the target's place by all-time count, ties by index, among the items not touched."""
    counts = replay.statistics.popularity.counts
    if moment.item >= len(counts):
        return len(counts)
    own = counts[moment.item]
    ahead = int((counts[1:] > own).sum() + (counts[1 : moment.item] == own).sum())
    touched = moment.state.touched[moment.state.touched < len(counts)]
    theirs = counts[touched]
    return ahead - int(((theirs > own) | ((theirs == own) & (touched < moment.item))).sum())


def _stack(kept: list[tuple[ScoreRequest, int, int]]) -> RankerSamples:
    requests = [request for request, _, _ in kept]
    return RankerSamples(
        history=np.concatenate([request.history for request in requests]),
        history_value=np.concatenate([request.history_value for request in requests]),
        history_age=np.concatenate([request.history_age for request in requests]),
        candidates=np.concatenate([request.candidates for request in requests]),
        features=np.concatenate([request.features for request in requests]),
        context=np.concatenate([request.context for request in requests]),
        target=np.array([item for _, item, _ in kept], np.int32),
        popularity_rank=np.array([rank for _, _, rank in kept], np.int32),
    )
