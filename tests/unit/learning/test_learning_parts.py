"""The parts of continuous learning that need no network: rhythm, log, ring of lessons."""

import numpy as np
import pytest

from millrace.model.learning.log import GrowingLog
from millrace.model.learning.moments import LessonRing, Lessons, Moment, lessons_of
from millrace.model.learning.rhythm import Rhythm, first_moments
from millrace.streams.scoring.scorer import ScoreRequest


def lessons(first: int, count: int) -> Lessons:
    """Lessons whose context tells their number."""
    return Lessons(
        np.ones((count, 4), np.int32),
        np.zeros((count, 4, 2), np.float16),
        np.zeros((count, 4), np.float32),
        np.arange(first, first + count, dtype=np.float32)[:, None],
        np.zeros(count, np.int32),
    )


def moment(candidates: list[int], target: int) -> Moment:
    empty = np.zeros((1, 3), np.float32)
    request = ScoreRequest(
        np.zeros((1, 3), np.int32),
        empty,
        empty,
        np.array([candidates], np.int32),
        np.full((1, len(candidates), 2), target, np.float32),
        np.full((1, 1), target, np.float32),
        np.zeros((1, 1), np.int32),
    )
    return Moment(request, target)


def test_the_encoder_is_due_when_the_log_has_grown_by_its_share() -> None:
    rhythm = Rhythm(ranker_events=10, encoder_growth=0.5)
    assert not rhythm.encoder_due(149, 100)
    assert rhythm.encoder_due(150, 100)
    assert rhythm.ranker_due(110, 100)
    assert not rhythm.ranker_due(109, 100)


def test_a_young_log_does_not_make_the_encoder_due_at_every_event() -> None:
    assert not Rhythm(ranker_events=500, encoder_growth=0.1).encoder_due(20, 10)


@pytest.mark.parametrize(("events", "row"), [(100_000, 93_000), (10_000, 8_000), (2_000, 1_000), (600, 300)])
def test_the_first_ranker_learns_from_the_newest_part(events: int, row: int) -> None:
    assert first_moments(events) == row


def test_a_growing_log_keeps_order_and_numbers_users_by_first_appearance() -> None:
    log = GrowingLog()
    for number in range(3000):
        log.add(f"u{number % 7}", number + 1, 3.0, number)
    table = log.table()
    assert len(table) == 3000
    assert table.items.tolist() == list(range(1, 3001))
    assert table.users[:8].tolist() == [0, 1, 2, 3, 4, 5, 6, 0]
    assert log.number_of("u3") == 3
    assert log.number_of("nobody") == 7


def test_a_ring_keeps_the_newest_lessons() -> None:
    ring = LessonRing(5)
    ring.add(lessons(0, 3))
    ring.add(lessons(3, 4))
    drawn = ring.draw(99, np.random.default_rng(0))
    assert sorted(drawn.context[:, 0].tolist()) == [2, 3, 4, 5, 6]


def test_more_lessons_than_the_ring_holds_leave_the_last_ones() -> None:
    ring = LessonRing(5)
    ring.add(lessons(0, 12))
    drawn = ring.draw(5, np.random.default_rng(0))
    assert sorted(drawn.context[:, 0].tolist()) == [7, 8, 9, 10, 11]


def test_only_moments_whose_target_was_a_candidate_become_lessons() -> None:
    moments = [moment([5, 6, 7, 0], 6), moment([5, 6, 7, 0], 9), moment([1, 2, 3, 4], 4)]
    log_prob = np.arange(12, dtype=np.float32).reshape(3, 4)
    made = lessons_of(moments, log_prob)
    assert made is not None
    assert made.place.tolist() == [1, 3]
    assert made.context[:, 0].tolist() == [6, 4]
    np.testing.assert_array_equal(made.log_prob, log_prob[[0, 2]])
    assert lessons_of(moments[1:2], log_prob[1:2]) is None
