"""A stream and a system small enough that a search takes no time."""

from collections.abc import Sequence

import numpy as np

from millrace.kernel.contracts import CatalogueItem
from millrace.kernel.user_state import ResolvedEvent, UserState
from millrace.model.configuration import ModelConfiguration
from millrace.model.evaluation.split import Split
from millrace.model.evaluation.system import Ranking, SystemNotes
from millrace.model.tuning.warm_up import WarmUpStream
from millrace.streams.catalogue import Catalogue

ITEMS = 20


def events(count: int = 200, seed: int = 0) -> list[ResolvedEvent]:
    rng = np.random.default_rng(seed)
    return [
        ResolvedEvent(f"e{row}", f"u{rng.integers(40)}", int(rng.integers(1, ITEMS + 1)), 4.0, row * 1000)
        for row in range(count)
    ]


def catalogue() -> Catalogue:
    items = Catalogue()
    for index in range(1, ITEMS + 1):
        items.upsert(index, CatalogueItem(item_id=str(index)))
    return items


def split(stream: Sequence[ResolvedEvent]) -> Split:
    return Split.of(len(stream))


class Chosen:
    """Ranks well the closer its dropout is to .4: its lists begin with the first of that many items."""

    name = "chosen"

    def __init__(self, configuration: ModelConfiguration, lists_from: int) -> None:
        self.notes = SystemNotes()
        self.lists_from = lists_from
        missed = round(abs(configuration.network.dropout - 0.4) * 40)
        self._listed = tuple(range(1 + missed, ITEMS + 1))

    def prepare(self, row: int) -> None:
        pass

    def recommend(self, state: UserState, now_ms: int) -> tuple[Ranking, UserState]:
        return Ranking(self._listed[:10], np.array(self._listed, np.int32)), state

    def learn(self, row: int, before: UserState, event: ResolvedEvent, first_touch: bool) -> None:
        pass

    def finish(self) -> None:
        pass


def make(configuration: ModelConfiguration, stream: WarmUpStream) -> Chosen:
    return Chosen(configuration, stream.split.warm_up)
