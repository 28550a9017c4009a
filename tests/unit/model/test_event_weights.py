"""The weight of event types: what predicts what people value weighs more, and noise weighs nothing."""

import json

import numpy as np
import pytest

from millrace.kernel.contracts import ActivityEvent, EventPolicy
from millrace.kernel.errors import ConfigurationError
from millrace.model.event_weights import estimate, gain_over, gather, main

POLICY = EventPolicy()


def chain_with_noise(users: int = 150, items: int = 40) -> list[ActivityEvent]:
    """Likes follow a chain of items; between them users view at random and dislike what comes next in the chain."""
    random, events = np.random.default_rng(1), []
    for user in range(users):
        item = int(random.integers(items))
        for _ in range(8):
            item = (item + 1) % items
            noise = [int(random.integers(items)) for _ in range(2)]
            for kind, index in [("like", item), ("view", noise[0]), ("dislike", noise[1])]:
                place = len(events)
                events.append(
                    ActivityEvent(event_id=f"e{place}", user_id=f"u{user}", item_id=f"i{index}", type=kind, ts_ms=place)
                )
    return events


def test_random_views_weigh_less_than_likes_that_follow_a_pattern() -> None:
    weights = estimate(chain_with_noise(), POLICY)
    assert weights["like"] == 1.0
    assert weights["view"] <= 0.2
    assert weights["dislike"] == 0.0


def test_the_weights_found_beat_equal_ones_on_what_they_were_found_on() -> None:
    events = chain_with_noise()
    assert gain_over(gather(events, POLICY), estimate(events, POLICY), {}) > 0.05


def test_the_likelihood_is_that_of_the_formula() -> None:
    kinds = [("a", "i1"), ("a", "i2"), ("b", "i1"), ("b", "i2")]
    events = [
        ActivityEvent(event_id=f"e{place}", user_id=user, item_id=item, type="like", ts_ms=place)
        for place, (user, item) in enumerate(kinds)
    ]
    evidence = gather(events, POLICY)
    # i2 behind i1: first nothing is known but one event of i1, then one transition and one event of i2 among three.
    first = (10.0 * 0.5 / 2.0) / 10.0
    second = (1.0 + 10.0 * (1.0 + 0.5) / 4.0) / (1.0 + 10.0)
    expected = (np.log(first) + np.log(second)) / 2.0
    assert evidence.log_likelihood(np.ones(1)) == pytest.approx(expected)


def test_a_log_without_anything_valued_says_so() -> None:
    event = ActivityEvent(event_id="e", user_id="u", item_id="i", type="view", ts_ms=0)
    with pytest.raises(ConfigurationError, match="came to value"):
        estimate([event], POLICY)


def test_the_command_prints_a_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data/ml-latest-small", "--as-activities", "--first", "0.03"]) == 0
    name, _, value = capsys.readouterr().out.strip().partition("=")
    weights = json.loads(value)
    assert name == "MILLRACE_EVENT_WEIGHTS"
    assert set(weights) == {"view", "like", "dislike", "purchase"}
    assert (weights["like"], weights["dislike"]) == (1.0, 0.0)
