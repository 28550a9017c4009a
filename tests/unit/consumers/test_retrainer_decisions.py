"""The retrainer's pure decisions: when to train, whether a version may serve, how far a training is."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millrace.consumers.retrainer.gate import HOLDOUT_EVENTS, MIN_HOLDOUT_EVENTS, judge
from millrace.consumers.retrainer.schedule import Schedule
from millrace.consumers.retrainer.stages import STAGES, Stages
from millrace.kernel.contracts import CatalogueItem
from millrace.stores.item_ids import newest_item_ids, read_item_ids, write_item_ids

GOOD = {HOLDOUT_EVENTS: 2000.0, "hit_rate_at_10": 0.10, "counts_hit_rate_at_10": 0.095, "parent_hit_rate_at_10": 0.10}


def test_a_version_as_good_as_its_baselines_is_accepted() -> None:
    verdict = judge(GOOD)
    assert verdict.accepted
    assert "0.1000 on 2000" in verdict.reason


@pytest.mark.parametrize(
    ("prefix", "words"), [("counts_", "online counts"), ("parent_", "parent"), ("popularity_", "popularity list")]
)
def test_a_clearly_worse_version_is_refused_with_the_figures(prefix: str, words: str) -> None:
    verdict = judge({**GOOD, prefix + "hit_rate_at_10": 0.15})
    assert not verdict.accepted
    assert words in verdict.reason
    assert "0.1000" in verdict.reason
    assert "0.1500" in verdict.reason


def test_noise_refuses_nobody_and_more_events_make_the_same_difference_clear() -> None:
    slightly_worse = {**GOOD, "counts_hit_rate_at_10": 0.11}
    assert judge(slightly_worse).accepted
    assert not judge({**slightly_worse, HOLDOUT_EVENTS: 20_000.0}).accepted


def test_too_few_events_cannot_judge() -> None:
    few = {**GOOD, HOLDOUT_EVENTS: MIN_HOLDOUT_EVENTS - 1.0, "counts_hit_rate_at_10": 0.9}
    assert judge(few).accepted
    assert "too few" in judge(few).reason
    assert judge({}).accepted


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_a_diverged_training_is_refused(broken: float) -> None:
    assert not judge({**GOOD, "rating_rmse": broken}).accepted


@given(st.floats(0, 1), st.floats(0, 1), st.integers(MIN_HOLDOUT_EVENTS, 10**6))
def test_only_a_worse_version_is_ever_refused(rate: float, baseline: float, events: int) -> None:
    metrics = {HOLDOUT_EVENTS: float(events), "hit_rate_at_10": rate, "counts_hit_rate_at_10": baseline}
    assert judge(metrics).accepted or rate < baseline


def test_the_schedule_needs_new_events() -> None:
    both = Schedule(every_s=60, every_events=100)
    assert both.due(1000, 0) is None
    assert both.due(1000, 1) == "60 s have passed"
    assert both.due(59, 99) is None
    assert both.due(0, 100) == "100 new events"
    assert Schedule().due(10**6, 10**6) is None


def test_the_share_of_a_training_only_grows_and_ends_at_one() -> None:
    stages, seen = Stages(), [0.0]
    for name, _ in STAGES:
        for share in (0.0, 0.5, 0.2, 1.0):
            seen.append(stages.advance(name, share))
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1.0)
    assert stages.advance("unheard of", 0.3) == seen[-1]


def test_a_skipped_stage_counts_as_done() -> None:
    stages = Stages()
    assert stages.advance("replay", 0.0) == pytest.approx(sum(share for _, share in STAGES[:2]))
    assert stages.advance("encoder", 0.0) == pytest.approx(sum(share for _, share in STAGES[:4]))


def test_item_ids_come_back_in_order_of_their_indexes(tmp_path: Path) -> None:
    items = {index: CatalogueItem(item_id=item_id) for index, item_id in ((3, "ü"), (1, "a"))}
    for version in ("v000001", "v000002"):
        (tmp_path / version).mkdir()
    assert newest_item_ids(tmp_path) == []
    write_item_ids(tmp_path / "v000001", items)
    assert read_item_ids(tmp_path / "v000001") == ["a", None, "ü"]
    assert read_item_ids(tmp_path / "v000002") is None
    assert newest_item_ids(tmp_path) == ["a", None, "ü"]
