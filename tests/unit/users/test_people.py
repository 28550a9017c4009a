import random
from collections import Counter

import pytest

from millrace.kernel.contracts import ActivityEvent
from millrace.kernel.errors import ConfigurationError
from millrace.load_tests.users.behaviour import Act, Browser, Rater
from millrace.load_tests.users.people import Casting

ITEMS = [str(number) for number in range(50)]
TYPES = ["like", "purchase", "view"]


def rating(user: str, item: str) -> ActivityEvent:
    return ActivityEvent(event_id=f"{user}-{item}", user_id=user, item_id=item, type="rating", value=4.0, ts_ms=1)


def casting() -> Casting:
    return Casting([rating("anna", "7"), rating("bert", "8"), rating("anna", "9")], ITEMS, TYPES, seed=1)


def test_a_rater_repeats_what_the_person_did_in_its_order() -> None:
    user_id, rater = casting().rater()
    assert user_id == "anna"
    assert [rater.next(["1"]) for _ in range(3)] == [
        Act("rating", "7", 4.0), Act("rating", "9", 4.0), Act("rating", "7", 4.0),
    ]  # fmt: skip


def test_nobody_takes_part_twice_and_newcomers_follow() -> None:
    cast = casting()
    ids = [cast.rater()[0], cast.browser()[0], cast.rater()[0], cast.browser()[0]]
    assert ids == ["anna", "bert", "newcomer-1", "newcomer-2"]


def test_without_ratings_there_is_nothing_to_do() -> None:
    with pytest.raises(ConfigurationError, match="--data"):
        Casting([], ITEMS, TYPES, seed=1)


def test_a_browser_acts_on_what_is_shown_and_more_often_on_what_is_on_top() -> None:
    shown = ["30", "31", "32", "33"]
    browser = Browser(ITEMS, TYPES, random.Random(0))
    assert browser.next([]).item_id in ITEMS
    acts = [browser.next(shown) for _ in range(2000)]
    by_item, by_type = Counter(act.item_id for act in acts), Counter(act.type for act in acts)
    assert sorted(by_item, key=by_item.__getitem__, reverse=True) == shown
    assert set(by_type) == set(TYPES)
    assert by_type["view"] > 1000
    assert {act.value for act in acts} == {None}


def test_where_only_ratings_are_accepted_a_browser_rates() -> None:
    act = Browser(ITEMS, [], random.Random(0)).next(["3"])
    assert (act.type, act.item_id) == ("rating", "3")
    assert act.value is not None
    assert 0.5 <= act.value <= 5.0


def test_a_seed_makes_people_repeat_themselves() -> None:
    acts = [[browser.next(ITEMS) for _ in range(20)] for browser in (casting().browser()[1], casting().browser()[1])]
    assert acts[0] == acts[1]
    assert isinstance(casting().rater()[1], Rater)
