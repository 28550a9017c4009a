"""The objective of a search: NDCG@10 of test-then-train over the warm-up, reported slice by slice for pruning."""

import math
from collections.abc import Callable

from millrace.kernel.user_state import ResolvedEvent, UserState
from millrace.model.configuration import ModelConfiguration
from millrace.model.evaluation.grading import grade
from millrace.model.evaluation.observed import ObservedSystem
from millrace.model.evaluation.outcomes import LISTED
from millrace.model.evaluation.system import Ranking, System
from millrace.model.tuning.warm_up import WarmUpStream

# The warm-up is cut into this many slices; a trial may be pruned after each but the last.
SLICES = 5
MakeSystem = Callable[[ModelConfiguration, WarmUpStream], System]
ReportSlice = Callable[[int, float], None]


class SliceGains:
    """Observer that accumulates NDCG@10 and reports it after each slice of the graded part.

    Args:
        bounds: Row after the end of each slice but the last, ascending.
        report: Called with the number of the slice, from 0, and the NDCG@10 so far.
    """

    def __init__(self, bounds: tuple[int, ...], report: ReportSlice) -> None:
        self._bounds = bounds
        self._report = report
        self._slice = 0
        self._gain_sum = 0.0
        self._count = 0

    @property
    def mean(self) -> float:
        """NDCG@10 so far."""
        return self._gain_sum / max(self._count, 1)

    def passed(self, row: int) -> None:
        """Report the slices that end at or before `row`."""
        while self._slice < len(self._bounds) and row >= self._bounds[self._slice]:
            self._report(self._slice, self.mean)
            self._slice += 1

    def graded(self, row: int, ranking: Ranking, before: UserState, event: ResolvedEvent) -> None:
        """Add the gain of one graded event; see `Observer.graded` for the arguments."""
        place = ranking.place_of(event.item)
        self._gain_sum += 1.0 / math.log2(place + 2.0) if 0 <= place < LISTED else 0.0
        self._count += 1


def ndcg_on_warm_up(
    configuration: ModelConfiguration, stream: WarmUpStream, make: MakeSystem, report: ReportSlice
) -> float:
    """Return the NDCG@10 of a configuration on the warm-up, 0 to 1.

    Args:
        configuration: Configuration to evaluate.
        stream: Training and warm-up events.
        make: Returns a new system for a configuration and a stream.
        report: Called with the number of the slice, from 0, and the NDCG@10 so far after each slice but the last. Its
            exceptions propagate.
    """
    first, last = stream.split.graded, stream.split.stop
    bounds = tuple(first + (last - first) * number // SLICES for number in range(1, SLICES))
    gains = SliceGains(bounds, report)
    grade(stream.events, ObservedSystem(make(configuration, stream), gains, first), stream.split)
    return gains.mean
