"""Test-then-train: before each event its user's list is graded, then everything learns the event.

Gama, Sebastiao, Rodrigues, "On evaluating stream learning algorithms", Machine Learning 90 (2013).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from model.contenders import Contender, learn_all
from model.metrics import RankingMetrics
from streams.ranking import CandidateStep, FusionWeights
from streams.ranking.grading import rank_in
from streams.statistics import ItemStatistics
from streams.users import ResolvedEvent, UserState, apply_event


class Moment(StrEnum):
    """When the graded list is made: as the next event arrives, or right after the user's event before it.

    The service makes lists after events, so `AFTER_EVENT` is what users are shown; `ON_REQUEST` is what published
    figures assume: newer statistics, and the time gap is known.
    """

    ON_REQUEST = "on_request"
    AFTER_EVENT = "after_event"


@dataclass(frozen=True, slots=True)
class GradedPart:
    """Which part of the stream counts.

    Args:
        start: First graded event.
        stop: One past the last; nothing after it is read.
        lists_from: Lists are made from this event on, so that online weights are learned before they count.
    """

    start: int
    stop: int
    lists_from: int


def evaluate(
    events: Sequence[ResolvedEvent],
    contenders: Sequence[Contender],
    part: GradedPart,
    moment: Moment = Moment.ON_REQUEST,
) -> dict[str, RankingMetrics]:
    """Replay a stream and return the metrics of each contender by name.

    Only an event on an item that its user had not touched is graded. A user without a list is graded on the one that a
    new user gets at that time.
    """
    metrics = {contender.name: RankingMetrics() for contender in contenders}
    users: dict[str, UserState] = {}
    lists: dict[tuple[str, str], list[int]] = {}
    for number, event in enumerate(events[: part.stop]):
        before = users.get(event.user_id) or UserState(event.user_id)
        applied = apply_event(before, event)
        if applied.duplicate:
            continue
        if number >= part.lists_from:
            for contender in contenders:
                shown = lists.get((contender.name, event.user_id))
                if moment is Moment.ON_REQUEST or shown is None:
                    shown = contender.list_for(before, event.ts_ms)
                if number >= part.start and applied.first_touch:
                    metrics[contender.name].add(rank_in(shown, event.item))
        users[event.user_id] = applied.state
        learn_all(contenders, before, event)
        if number >= part.lists_from and moment is Moment.AFTER_EVENT:
            for contender in contenders:
                lists[contender.name, event.user_id] = contender.list_for(applied.state, event.ts_ms)
    return metrics


@dataclass(frozen=True, slots=True)
class TrainingSample:
    """What was known before one event, and which candidate it turned out to be.

    Args:
        event: The event.
        before: The user's state before it.
        now_ms: Time the list would have been made: right after the user's previous event, as in service.
        candidates: [C] int32, best by linear fusion first, without padding.
        features: [C, F] float32.
        context: [U] float32.
        target: Place of the event's item among the candidates.
    """

    event: ResolvedEvent
    before: UserState
    now_ms: int
    candidates: NDArray[np.int32]
    features: NDArray[np.float32]
    context: NDArray[np.float32]
    target: int


def replay_samples(
    events: Sequence[ResolvedEvent],
    statistics: ItemStatistics,
    step: CandidateStep,
    weights: FusionWeights,
    users: dict[str, UserState] | None = None,
    start: int = 0,
    stride: int = 1,
) -> Iterator[TrainingSample]:
    """Yield the training samples of a stream while learning it with the very classes that serve.

    The event's item is put among the candidates if the candidate step did not find it. Events on items touched before,
    or not available, make no sample.

    Args:
        events: In replay order.
        statistics: Learns the events; those of `step`.
        step: The candidate step.
        weights: Linear fusion for the cut.
        users: States before the first event; changed in place.
        start: The first events are only learned from.
        stride: Every how many events a sample is made.
    """
    users = {} if users is None else users
    for number, event in enumerate(events):
        before = users.get(event.user_id) or UserState(event.user_id)
        applied = apply_event(before, event)
        if applied.duplicate:
            continue
        if applied.first_touch and number >= start and (number - start) % stride == 0:
            sample = _sample(event, before, step, weights)
            if sample is not None:
                yield sample
        statistics.update(before, event.item, event.value, event.ts_ms)
        users[event.user_id] = applied.state


def _sample(
    event: ResolvedEvent, before: UserState, step: CandidateStep, weights: FusionWeights
) -> TrainingSample | None:
    last_ms = before.last_ts_ms
    now_ms = event.ts_ms if last_ms is None else last_ms
    batch = step.build([before], [now_ms], weights, include=[event.item])
    candidates = batch.candidates[0]
    size = int((candidates > 0).sum())
    places = np.flatnonzero(candidates[:size] == event.item)
    if not len(places):
        return None
    return TrainingSample(
        event, before, now_ms, candidates[:size], batch.features[0, :size], batch.context[0], int(places[0])
    )
