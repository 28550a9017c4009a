from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from millrace.kernel.contracts import ActivityEvent
from millrace.producers.replay.window import ReplayWindow


def event(number: int, user: int) -> ActivityEvent:
    return ActivityEvent(event_id=f"e{number}", user_id=f"u{user}", item_id="i", type="rating", value=3.0, ts_ms=number)


def events(*users: int) -> list[ActivityEvent]:
    return [event(number, user) for number, user in enumerate(users)]


def drain(window: ReplayWindow, now_s: float = 0.0) -> list[str]:
    """Send all that may be sent now."""
    sent = []
    while (following := window.next()) is not None:
        window.sent(now_s)
        sent.append(following.event_id)
    return sent


def test_a_users_next_event_waits_for_the_answer() -> None:
    window = ReplayWindow(iter(events(1, 1, 2, 1)), closed_loop=True)
    assert drain(window) == ["e0", "e2"]
    answered = window.answered("e0", 0.5)
    assert answered is not None
    assert answered.waited_s == 0.5
    assert drain(window) == ["e1"]
    window.answered("e1", 0.6)
    assert drain(window) == ["e3"]
    assert window.all_sent
    assert not window.finished
    window.answered("e3", 0.7)
    window.answered("e2", 0.7)
    assert window.finished


def test_without_a_closed_loop_nobody_waits() -> None:
    window = ReplayWindow(iter(events(1, 1, 1)), closed_loop=False)
    assert drain(window) == ["e0", "e1", "e2"]


def test_nobody_gets_further_ahead_than_the_window() -> None:
    window = ReplayWindow(iter(events(1, 1, 2, 3, 4, 5)), closed_loop=True, window=3)
    assert drain(window) == ["e0", "e2", "e3"]  # e1 is held and three events are looked at beyond it at most
    assert window.position == 1
    window.answered("e0", 0.0)
    assert drain(window) == ["e1", "e4", "e5"]


def test_in_flight_is_bounded() -> None:
    window = ReplayWindow(iter(events(*range(10))), closed_loop=True, max_in_flight=4)
    assert len(drain(window)) == 4
    window.answered("e0", 0.0)
    assert drain(window) == ["e4"]


def test_an_unanswered_event_is_given_up_at_the_deadline() -> None:
    window = ReplayWindow(iter(events(1, 1)), closed_loop=True, deadline_s=5.0)
    drain(window, now_s=10.0)
    assert window.expire(14.9) == []
    assert [one.event_id for one in window.expire(15.0)] == ["e0"]
    assert drain(window) == ["e1"]
    assert window.answered("e0", 16.0) is None
    assert window.expired_count == 1


def test_a_repeated_answer_frees_nobody() -> None:
    window = ReplayWindow(iter(events(1, 1, 1)), closed_loop=True)
    drain(window)
    window.answered("e0", 0.0)
    assert drain(window) == ["e1"]
    assert window.answered("e0", 0.0) is None
    assert drain(window) == []


def test_the_same_event_id_of_two_users_holds_neither_back_for_ever() -> None:
    twice = [
        ActivityEvent(event_id="same", user_id=user, item_id="i", type="rating", value=3.0, ts_ms=0)
        for user in ("a", "b", "a")
    ]
    window = ReplayWindow(iter(twice), closed_loop=True)
    assert len(drain(window)) == 3


@given(
    users=st.lists(st.integers(0, 5), max_size=60),
    size=st.integers(1, 20),
    most=st.integers(1, 8),
    choices=st.randoms(use_true_random=False),
)
def test_every_event_is_sent_once_in_its_users_order_one_at_a_time(
    users: list[int], size: int, most: int, choices: object
) -> None:
    source = events(*users)
    window = ReplayWindow(iter(source), closed_loop=True, window=size, max_in_flight=most)
    sent: list[int] = []
    flying: dict[str, ActivityEvent] = {}
    while not window.finished:
        while (following := window.next()) is not None:
            window.sent(0.0)
            assert following.user_id not in {one.user_id for one in flying.values()}
            flying[following.event_id] = following
            sent.append(following.ts_ms)
            assert len(flying) <= most
            assert following.ts_ms <= window.position + size
        done = choices.choice(sorted(flying))  # type: ignore[attr-defined]
        assert window.answered(done, 0.0) is not None
        del flying[done]
    assert sorted(sent) == list(range(len(source)))
    by_user = defaultdict(list)
    for number in sent:
        by_user[source[number].user_id].append(number)
    assert all(numbers == sorted(numbers) for numbers in by_user.values())
    assert window.position == len(source)
