"""What the keeper learns is the same however the stream is cut, replayed or its tails forgotten."""

from hypothesis import given, settings
from hypothesis import strategies as st

from millrace.kernel.user_state import ResolvedEvent
from millrace.streams.keeper.learner import Lesson, StatisticsLearner
from millrace.streams.statistics import ItemStatistics

USERS = 4


@st.composite
def lessons(draw: st.DrawFn) -> list[Lesson]:
    drawn = draw(
        st.lists(st.tuples(st.integers(0, USERS - 1), st.integers(1, 8), st.integers(0, 20)), min_size=1, max_size=40)
    )
    return [
        Lesson(0, offset, ResolvedEvent(f"{user}-{number}", f"u{user}", item, 4.0, 1000 * offset))
        for offset, (user, item, number) in enumerate(drawn)
    ]


class Stored:
    """Keeps flushes as the store would."""

    def __init__(self) -> None:
        self.pages: dict[int, bytes] = {}
        self.popularity: dict[int, bytes] = {}
        self.tails: dict[str, bytes] = {}
        self.scalars: dict[str, str] = {}
        self.watermarks: dict[int, int] = {}

    def flush(self, learner: StatisticsLearner) -> None:
        flush = learner.take_flush()
        if flush is not None:
            # What the store compares: where the flush before has ended.
            assert all(self.watermarks.get(partition, -1) == state for partition, state in flush.expected.items())
            assert flush.expected.keys() >= self.watermarks.keys()
            self.pages.update(flush.pages)
            self.popularity.update(flush.popularity)
            self.tails.update(flush.tails)
            self.scalars.update(flush.scalars)
            self.watermarks.update(flush.watermarks)

    def restarted(self) -> StatisticsLearner:
        statistics = ItemStatistics(16)
        for chunk, data in self.popularity.items():
            statistics.load_popularity_chunk(chunk, data)
        statistics.load_scalars(self.scalars)
        for item, page in self.pages.items():
            statistics.load_page(item, page)
        return StatisticsLearner(statistics, self.watermarks, int(self.scalars.get("flush", 0)), tails_held=1)


def teach(learner: StatisticsLearner, stored: Stored, part: list[Lesson]) -> int:
    unknown = learner.unknown(lesson.event.user_id for lesson in part)
    learner.load_tails({user: stored.tails.get(user) for user in unknown})
    return learner.learn(part, {0: part[-1].offset})


def in_one_go(events: list[Lesson]) -> Stored:
    stored = Stored()
    learner = StatisticsLearner(ItemStatistics(16), {}, 0)
    teach(learner, stored, events)
    stored.flush(learner)
    return stored


@settings(deadline=None)
@given(lessons(), st.integers(1, 10), st.integers(0, 40))
def test_a_crash_between_flushes_changes_nothing(events: list[Lesson], size: int, crash_at: int) -> None:
    stored = Stored()
    learner = stored.restarted()
    position = 0
    crashed = False
    while position < len(events):
        teach(learner, stored, events[position : position + size])
        position += size
        if position >= crash_at and not crashed:
            # What was learned since the flush is lost, and the stream goes on at the watermark.
            crashed = True
            learner = stored.restarted()
            position = stored.watermarks.get(0, -1) + 1
        else:
            stored.flush(learner)
            learner.forget_oldest()
    expected = in_one_go(events)
    assert stored.pages == expected.pages
    assert stored.popularity == expected.popularity
    assert stored.tails == expected.tails
    assert {**stored.scalars, "flush": ""} == {**expected.scalars, "flush": ""}


@settings(deadline=None)
@given(lessons())
def test_each_event_id_is_learned_once(events: list[Lesson]) -> None:
    stored = Stored()
    learner = stored.restarted()
    ids = {lesson.event.event_id for lesson in events}
    assert teach(learner, stored, events) == len(ids) == learner.statistics.clock
    assert teach(learner, stored, events) == 0


def test_tails_in_memory_are_bounded_and_unwritten_ones_are_kept() -> None:
    learner = StatisticsLearner(ItemStatistics(16), {}, 0, tails_held=3)
    users = [f"u{n}" for n in range(10)]
    learner.load_tails(dict.fromkeys(users))
    learner.learn([Lesson(0, n, ResolvedEvent(f"e{n}", user, 1, 4.0, n)) for n, user in enumerate(users)], {0: 9})
    learner.forget_oldest()
    assert learner.tails == 10
    assert learner.take_flush() is not None
    learner.forget_oldest()
    assert learner.tails == 3
    assert learner.unknown(["u9", "u0"]) == ["u0"]


def test_nothing_new_is_no_flush() -> None:
    learner = StatisticsLearner(ItemStatistics(16), {0: 5}, 0)
    assert learner.take_flush() is None
    learner.learn([], {0: 5})
    assert learner.take_flush() is None
    learner.learn([], {0: 6})  # a dead letter
    flush = learner.take_flush()
    assert flush is not None
    assert flush.watermarks == {0: 6}
