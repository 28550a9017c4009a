"""What a stream is like: the facts that decide how hard it is."""

import numpy as np
from numpy.typing import NDArray

from millrace.model.evaluation.outcomes import GradedEvents
from millrace.model.evaluation.report.figures import DataFacts
from millrace.model.evaluation.split import Split
from millrace.model.recorded_stream import RecordedStream

SESSION_GAP_S = 1_800.0
_DAY_MS = 86_400_000


def data_facts(stream: RecordedStream, split: Split, graded: GradedEvents) -> DataFacts:
    """Return the facts of the part of a stream that was read."""
    events = stream.events[: split.stop]
    users = np.unique([event.user_id for event in events], return_inverse=True)[1]
    items = np.array([event.item for event in events])
    ts_ms = np.array([event.ts_ms for event in events], np.int64)
    gaps_s, since_first_ms = _gaps(users, ts_ms)
    counts = np.bincount(users)
    with_events = len(np.unique(items))
    sessions = len(counts) + int((gaps_s > SESSION_GAP_S).sum())
    return DataFacts(
        events=len(events),
        users=len(counts),
        items=len(stream.catalogue),
        items_with_events=with_events,
        events_per_user_median=float(np.median(counts)),
        density=len(events) / (len(counts) * with_events),
        days=float(ts_ms[-1] - ts_ms[0]) / _DAY_MS,
        same_second_share=_share(gaps_s < 1.0),
        session_share=_share(gaps_s <= SESSION_GAP_S),
        events_per_session=len(events) / sessions,
        first_day_share=_share(since_first_ms < _DAY_MS),
        first_ever_share=_share(graded.item_counts == 0),
        mean_rating=float(np.mean([event.value for event in events])),
    )


def _gaps(users: NDArray[np.int64], ts_ms: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return seconds between neighbouring events of the same user, and [E] milliseconds since a user's first."""
    order = np.lexsort((np.arange(len(users)), users))
    users, times = users[order], ts_ms[order]
    same = users[1:] == users[:-1]
    gaps_s = (times[1:] - times[:-1])[same] / 1000.0
    starts = np.flatnonzero(np.append(True, ~same))
    lengths = np.diff(np.append(starts, len(users)))
    return gaps_s, times - np.repeat(times[starts], lengths)


def _share(mask: NDArray[np.bool_]) -> float:
    return float(mask.mean()) if len(mask) else 0.0
