"""Cold start: a new user's list is what is popular now, and a few ratings move it visibly."""

import numpy as np
import pytest
from recorded import Past, recorded_past

from millrace.kernel.user_state import ResolvedEvent, UserState, apply_event
from millrace.streams.ranking import FusionWeights, ListRules, RankedItems, select_list

RULES = ListRules(diversity=0.0, exploration_rate=0.0)
EVENTS = 30_000
NOW_AFTER_MS = 60_000


@pytest.fixture(scope="module")
def past() -> Past:
    return recorded_past(EVENTS)


def list_of(past: Past, state: UserState) -> list[int]:
    now_ms = (state.last_ts_ms or past.now_ms) + NOW_AFTER_MS
    ranked = RankedItems.from_linear(past.step.build([state], [now_ms], FusionWeights.default()), 0)
    return [entry.item for entry in select_list(RULES, ranked, state, past.step, "r")]


def popular_with(past: Past, genre: str, number: int) -> list[int]:
    """Return the most popular items of a genre."""
    known = [item for item in past.step.view.ever.tolist() if past.catalogue.known[item]]
    return [item for item in known if genre in past.catalogue.item(item).genres][:number]


def share_of(past: Past, items: list[int], genre: str) -> float:
    return float(np.mean([genre in past.catalogue.item(item).genres for item in items]))


def test_a_new_users_list_is_what_is_popular_lately_and_among_beginners(past: Past) -> None:
    listed = list_of(past, UserState("new"))
    assert len(listed) == 10
    view = past.step.view
    popular = {*view.recent[:50].tolist(), *view.ever[:50].tolist(), *view.by_history[0][:50].tolist()}
    assert set(listed) <= popular
    assert len({*view.recent[:20].tolist(), *view.by_history[0][:20].tolist()} & set(listed)) >= 7


def test_three_ratings_of_a_genre_change_the_list_and_lean_it_towards_the_genre(past: Past) -> None:
    nobody = UserState("new")
    first = list_of(past, nobody)
    before, after = [], []
    for genre in past.catalogue.genre_names:
        state = nobody
        for place, item in enumerate([item for item in popular_with(past, genre, 13) if item not in first][:3]):
            event = ResolvedEvent(f"e{place}", "new", item, 5.0, past.now_ms + 1000 * place)
            state = apply_event(state, event).state
        second = list_of(past, state)
        assert len(set(second) - set(first)) >= 4, genre
        before.append(share_of(past, first, genre))
        after.append(share_of(past, second, genre))
    # Where the first list has nothing of the genre there is only one way to go; what it is full of may give way.
    absent = np.array(before) == 0.0
    assert np.mean(np.array(after)[absent]) > 0.03
    assert np.mean(after) > np.mean(before)


def test_a_new_user_is_not_shown_the_same_list_after_every_first_rating(past: Past) -> None:
    lists = set()
    for item in past.step.view.ever[:6].tolist():
        event = ResolvedEvent("e", "new", item, 5.0, past.now_ms)
        lists.add(tuple(list_of(past, apply_event(UserState("new"), event).state)))
    assert len(lists) >= 5
