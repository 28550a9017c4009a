"""Compiles or loads every kernel before any partition is asked for: the first batch must not wait for a compiler."""

from dataclasses import replace

from millrace.kernel.contracts import CatalogueItem
from millrace.kernel.settings import Settings
from millrace.kernel.user_state import ResolvedEvent, UserState, apply_event
from millrace.streams.catalogue import Catalogue
from millrace.streams.ranking import CandidateStep, FusionWeights, ListRules, RankedItems, grade, select_list
from millrace.streams.statistics import ItemStatistics

_ITEMS = 60
_EVENTS = 30


def warm_up_learning(neighbours: int) -> tuple[ItemStatistics, UserState]:
    """Run a few made-up events through the statistics; returns what came out."""
    statistics = ItemStatistics(neighbours)
    state = UserState("nobody")
    for number in range(1, _EVENTS + 1):
        event = ResolvedEvent(str(number), "nobody", number, 4.0, 1000 * number)
        statistics.update(state, event.item, event.value, event.ts_ms)
        state = apply_event(state, event).state
    statistics.load_page(1, statistics.page(1))
    statistics.load_popularity_chunk(0, statistics.popularity_chunk(0))
    return statistics, state


def warm_up_lists(rules: ListRules, neighbours: int) -> int:
    """Make and grade one list for a made-up user, its exploration slot used; returns its length."""
    statistics, state = warm_up_learning(neighbours)
    catalogue = Catalogue()
    for number in range(1, _ITEMS + 1):
        title = f"Item {number // 2} of many"
        catalogue.upsert(number, CatalogueItem(item_id=str(number), title=title, genres=("A", "B"), year=2000))
    step = CandidateStep(statistics, catalogue)
    now_ms = 1000 * (_EVENTS + 1)
    batch = step.build([state, UserState("new")], [now_ms, now_ms], FusionWeights.default())
    rules = replace(rules, exploration_rate=1.0)
    listed = select_list(rules, RankedItems.from_linear(batch, 0), state, step, "warm-up")
    grade([item.item for item in listed], _ITEMS, statistics.popularity_order(), state.touched)
    return len(listed)


if __name__ == "__main__":
    # `make install` runs this, so that the first start of a checkout does not wait for the compiler.
    warm_up_lists(ListRules(), Settings().neighbours_per_item)
