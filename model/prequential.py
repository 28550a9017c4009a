"""Test-then-train: before each event its user's list is graded, then everything learns the event.

Gama, Sebastiao, Rodrigues, "On evaluating stream learning algorithms", Machine Learning 90 (2013).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from model.contenders import Contender, learn_all
from model.metrics import RankingMetrics
from streams.ranking.grading import rank_in
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
    first_ever: dict[str, RankingMetrics] | None = None,
) -> dict[str, RankingMetrics]:
    """Replay a stream and return the metrics of each contender by name.

    Only an event on an item that its user had not touched is graded. A user without a list is graded on the one that a
    new user gets at that time. `first_ever` receives the metrics of the events that are the first of their item.
    """
    metrics = {contender.name: RankingMetrics() for contender in contenders}
    first_ever = {} if first_ever is None else first_ever
    first_ever.update({contender.name: RankingMetrics() for contender in contenders})
    seen: set[int] = set()
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
                    rank = rank_in(shown, event.item)
                    metrics[contender.name].add(rank)
                    if event.item not in seen:
                        first_ever[contender.name].add(rank)
        users[event.user_id] = applied.state
        seen.add(event.item)
        learn_all(contenders, before, event)
        if number >= part.lists_from and moment is Moment.AFTER_EVENT:
            for contender in contenders:
                lists[contender.name, event.user_id] = contender.list_for(applied.state, event.ts_ms)
    return metrics
