"""The demo's figures: rates, percentiles and what counts as a problem."""

import pytest

from millrace.apps.demo.poison import broken_records
from millrace.apps.demo.report import DemoReport, LiveQuality, VersionReport
from millrace.apps.measuring.percentiles import Percentiles
from millrace.kernel.contracts import EventPolicy, decode_event
from millrace.kernel.errors import PoisonError


def _report(**changes: object) -> DemoReport:
    version = {"arm": "champion", "events_served": 5}
    fields: dict[str, object] = {
        "events_published": 12,
        "events_processed": 10,
        "events_duplicate": 0,
        "events_logged": 10,
        "recommendations_published": 10,
        "dead_lettered": {"invalid_json": 2},
        "fallback_lists": 0,
        "failed_requests": 0,
        "unanswered_events": 0,
        "rate_limit_per_s": None,
        "events_per_s": 1.0,
        "event_to_recommendation_ms": Percentiles(p50=1, p95=2, p99=3),
        "model_versions": (VersionReport(version="v1", **version), VersionReport(version="v2", **version)),
        "swap_seconds": 0.1,
        "seconds": {},
    }
    return DemoReport.model_validate({**fields, **changes})


def test_a_good_run_has_no_problems() -> None:
    assert _report().problems == ()


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"events_processed": 9, "events_logged": 9}, "processed"),
        ({"events_logged": 9}, "logged"),
        ({"failed_requests": 1}, "scoring"),
        ({"unanswered_events": 1}, "deadline"),
        ({"model_versions": ()}, "took over"),
    ],
)
def test_each_shortfall_is_named(changes: dict[str, object], word: str) -> None:
    problems = _report(**changes).problems
    assert len(problems) == 1
    assert word in problems[0]


def test_percentiles_are_nearest_ranks() -> None:
    assert Percentiles.of(list(range(1, 101))) == Percentiles(p50=51, p95=96, p99=100)
    assert Percentiles.of([7]) == Percentiles(p50=7, p95=7, p99=7)


def test_live_quality_adds_versions_up() -> None:
    one = {"events": 10, "hits": 2, "ndcg": 1.0, "popularity_hits": 1, "popularity_ndcg": 0.5}
    two = {"events": 30, "hits": 2, "ndcg": 1.0, "popularity_hits": 1, "popularity_ndcg": 0.5}
    quality = LiveQuality.of([one, two])
    assert (quality.events, quality.hit_rate_at_10, quality.popularity_ndcg_at_10) == (40, 0.1, 0.025)


def test_without_grades_there_is_no_rate() -> None:
    assert LiveQuality.of([]).hit_rate_at_10 is None


@pytest.mark.parametrize("record", broken_records(), ids=lambda record: record.reason)
def test_broken_records_are_refused_for_the_stated_reason(record) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(PoisonError) as caught:
        decode_event(record.value, 1_600_000_000_000, EventPolicy(), record.key)
    assert caught.value.reason is record.reason
