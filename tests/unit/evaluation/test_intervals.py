import numpy as np
import pytest

from millrace.model.evaluation.report.intervals import Interval, UserBootstrap, none_of

USERS = 80


def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return user numbers and hits: users differ in how often they are hit and in how much they do."""
    events = rng.integers(5, 40, USERS)
    rates = rng.beta(2.0, 8.0, USERS)
    users = np.repeat(np.arange(USERS, dtype=np.int32), events)
    return users, (rng.random(len(users)) < rates[users]).astype(np.float64)


def test_they_hold_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(4)
    held = 0
    for trial in range(200):
        users, hits = draw(rng)
        (interval,) = UserBootstrap(users, seed=trial, resamples=300).intervals([hits], np.ones(len(hits)))
        held += interval.low <= 0.2 <= interval.high  # a Beta(2, 8) has mean 0.2
    assert 0.90 <= held / 200 <= 0.99


def test_users_are_drawn_not_events() -> None:
    """A hundred copies of an event say no more than one: the interval does not shrink."""
    users = np.arange(50, dtype=np.int32)
    hits = (users % 5 == 0).astype(np.float64)
    (once,) = UserBootstrap(users, seed=1).intervals([hits], np.ones(50))
    many = np.repeat(users, 100)
    (often,) = UserBootstrap(many, seed=1).intervals([np.repeat(hits, 100)], np.ones(5_000))
    assert often == pytest.approx(once)
    assert once.high - once.low > 0.1


def test_the_seed_decides() -> None:
    users, hits = draw(np.random.default_rng(1))
    first, again, other = (UserBootstrap(users, seed).intervals([hits], np.ones(len(hits)))[0] for seed in (1, 1, 2))
    assert first == again != other


def test_a_difference_is_paired() -> None:
    users, hits = draw(np.random.default_rng(2))
    bootstrap = UserBootstrap(users, seed=1)
    everyone = np.ones(len(hits))
    assert bootstrap.difference(hits, hits, everyone) == Interval(0.0, 0.0)
    better = np.minimum(hits + (np.arange(len(hits)) % 10 == 0), 1.0)
    low, high = bootstrap.difference(better, hits, everyone)
    alone = bootstrap.intervals([better], everyone)[0]
    assert 0.0 < low < high
    assert high - low < alone.high - alone.low


def test_the_interval_holds_the_plain_ratio_and_its_root() -> None:
    users, hits = draw(np.random.default_rng(3))
    bootstrap = UserBootstrap(users, seed=1)
    mask = users % 2 == 0
    (mean,) = bootstrap.intervals([hits * mask], mask)
    (root,) = bootstrap.root_means([hits * mask], mask)
    assert mean.low < hits[mask].mean() < mean.high
    assert root == pytest.approx(tuple(np.sqrt(mean)))


def test_nothing_to_draw_from() -> None:
    users, hits = draw(np.random.default_rng(3))
    nobody = np.zeros(len(hits))
    assert np.isnan(UserBootstrap(users, seed=1).intervals([nobody], nobody)[0]).all()


def test_none_of_a_few_is_not_certainly_none_of_many() -> None:
    assert none_of(1).high == pytest.approx(0.975)
    assert none_of(100).high == pytest.approx(0.0362, abs=1e-4)
    assert (1 - none_of(30).high) ** 30 == pytest.approx(0.025)
