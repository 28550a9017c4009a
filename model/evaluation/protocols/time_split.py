"""A cut in time: what was learned before it is frozen, histories advance behind it, and the rest is graded."""

from dataclasses import replace

from rich.console import Console

from millrace.kernel.errors import ConfigurationError
from millrace.kernel.user_state import ResolvedEvent, UserState
from millrace.model.evaluation.options import EvaluateOptions
from millrace.model.evaluation.protocols import prequential
from millrace.model.evaluation.protocols.prequential import PrequentialResult
from millrace.model.evaluation.protocols.steered import SteeredSystem
from millrace.model.evaluation.served_system import ServedOptions
from millrace.model.evaluation.split import Split
from millrace.model.evaluation.system import System, SystemProxy
from millrace.model.evaluation.systems import SERVED, make_system, served_options
from millrace.model.recorded_stream import RecordedStream
from millrace.streams.catalogue import Catalogue

# Of what lies before the cut, the part before any list is made.
_TRAINING_SHARE = 0.5


class FrozenBaseline(SystemProxy):
    """A baseline that learns nothing from the cut on, or that goes on learning.

    Args:
        system: The baseline.
        cut: First row that is not learned.
        live: Whether it goes on learning: everything it has is statistics.
    """

    def __init__(self, system: System, cut: int, live: bool) -> None:
        super().__init__(system)
        self._cut = cut
        self._live = live

    def prepare(self, row: int) -> None:
        """Pass on up to the cut: a fit that is due there is the last one."""
        if row <= self._cut:
            super().prepare(row)

    def learn(self, row: int, before: UserState, event: ResolvedEvent, first_touch: bool) -> None:
        """Pass on what is learned."""
        if self._live or row < self._cut:
            super().learn(row, before, event, first_touch)


class TimeSplitSystem(SteeredSystem):
    """The served system: learns at its rhythm up to the cut, everything once more there, and no weights after it.

    Args:
        catalogue: Items.
        options: How it is run.
        cut: First graded row.
        live: Whether its statistics go on learning.
    """

    def __init__(self, catalogue: Catalogue, options: ServedOptions, cut: int, live: bool) -> None:
        super().__init__(catalogue, options, SERVED)
        self._cut = cut
        self._live = live

    def prepare(self, row: int) -> None:
        """Refresh what is due before the cut, everything at the cut, nothing after it."""
        if row < self._cut:
            self.prepare_at_rhythm(row)
        elif self.learns_weights:
            self.refresh()
            self.learns_weights, self.learns_statistics = False, self._live


def make_frozen(name: str, stream: RecordedStream, split: Split, options: EvaluateOptions) -> System:
    """Return the served system or a baseline, fresh, to be frozen where the graded part begins."""
    if name == SERVED:
        served = served_options(split, options)
        return TimeSplitSystem(stream.catalogue, served, split.graded, options.statistics_live)
    return FrozenBaseline(make_system(name, stream, split, options), split.graded, options.statistics_live)


def run(options: EvaluateOptions, console: Console) -> PrequentialResult:
    """Grade what lies behind the cut.

    Args:
        options: `cut` is a share of the stream.
        console: Shows progress.

    Raises:
        ConfigurationError: The cut leaves nothing to learn or nothing to grade.
    """
    if not 0.0 < options.cut < 1.0:
        raise ConfigurationError(f"A cut at {options.cut:g} leaves nothing to learn or to grade; choose one between.")
    training = options.cut * _TRAINING_SHARE
    return prequential.run(replace(options, training=training, warm_up=options.cut - training), console, make_frozen)
