"""What a configuration is worth: test-then-train over the warm-up, given up early where it falls behind."""

import math
from collections.abc import Callable

from millrace.kernel.user_state import ResolvedEvent, UserState
from millrace.model.configuration import ModelConfiguration
from millrace.model.evaluation.grading import grade
from millrace.model.evaluation.observed import ObservedSystem
from millrace.model.evaluation.outcomes import LISTED
from millrace.model.evaluation.system import Ranking, System
from millrace.model.tuning.warm_up import WarmUpStream

# The warm-up is cut into this many slices; after each a trial may be given up.
SLICES = 5
MakeSystem = Callable[[ModelConfiguration, WarmUpStream], System]
ReportSlice = Callable[[int, float], None]


class SliceGains:
    """Adds up NDCG@10 and tells it after each slice of the graded part.

    Args:
        bounds: First row after each slice but the last.
        report: Called with the number of the slice and the mean so far.
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
        """Tell of a slice that is over."""
        while self._slice < len(self._bounds) and row >= self._bounds[self._slice]:
            self._report(self._slice, self.mean)
            self._slice += 1

    def graded(self, row: int, ranking: Ranking, before: UserState, event: ResolvedEvent) -> None:
        """Add one gain."""
        place = ranking.place_of(event.item)
        self._gain_sum += 1.0 / math.log2(place + 2.0) if 0 <= place < LISTED else 0.0
        self._count += 1


def ndcg_on_warm_up(
    configuration: ModelConfiguration, stream: WarmUpStream, make: MakeSystem, report: ReportSlice
) -> float:
    """Return NDCG@10 on the warm-up.

    Args:
        configuration: What is tried.
        stream: Training and warm-up.
        make: Makes a fresh system.
        report: Called with the mean after each slice but the last; what it raises is passed on.
    """
    first, last = stream.split.graded, stream.split.stop
    bounds = tuple(first + (last - first) * number // SLICES for number in range(1, SLICES))
    gains = SliceGains(bounds, report)
    grade(stream.events, ObservedSystem(make(configuration, stream), gains, first), stream.split)
    return gains.mean
