"""The statistics and users after the first events of ml-latest-small, for the ranking tests."""

from dataclasses import dataclass

from millrace.kernel.user_state import UserState, apply_event
from millrace.model.recorded_stream import load_stream
from millrace.streams.catalogue import Catalogue
from millrace.streams.ranking import CandidateStep
from millrace.streams.statistics import ItemStatistics


@dataclass
class Past:
    statistics: ItemStatistics
    catalogue: Catalogue
    step: CandidateStep
    users: dict[str, UserState]
    now_ms: int

    def latest_users(self, count: int, least_events: int) -> list[UserState]:
        """Return users with at least so many events, those whose last event is newest first."""
        fit = [state for state in self.users.values() if state.count >= least_events]
        return sorted(fit, key=lambda state: (-(state.last_ts_ms or 0), state.user_id))[:count]


def recorded_past(events: int) -> Past:
    stream = load_stream("data/ml-latest-small")
    statistics = ItemStatistics()
    past = Past(statistics, stream.catalogue, CandidateStep(statistics, stream.catalogue), {}, 0)
    for event in stream.events[:events]:
        before = past.users.get(event.user_id) or UserState(event.user_id)
        past.users[event.user_id] = apply_event(before, event).state
        statistics.update(before, event.item, event.value, event.ts_ms)
        past.now_ms = event.ts_ms
    return past
