"""The tables a demo run ends with, on terminals of 80 and 160 columns."""

import io

import pytest
from rich.console import Console

from millrace.apps.demo.report import ONLINE_COUNTS, DemoReport, VersionReport
from millrace.apps.demo.summary import print_summary
from millrace.apps.measuring.percentiles import Percentiles

QUALITY = {
    "events": 12_345,
    "hit_rate_at_10": 0.1557,
    "ndcg_at_10": 0.0865,
    "popularity_hit_rate_at_10": 0.037,
    "popularity_ndcg_at_10": 0.02,
}


def report() -> DemoReport:
    versions = {ONLINE_COUNTS: 0, "v000001": 0, "v000002": 66_500}
    made = [
        VersionReport(version=name, arm="champion", events_served=100, encoder_events=encoder, **QUALITY)
        for name, encoder in versions.items()
    ]
    return DemoReport(
        events_published=20_009,
        events_processed=20_001,
        events_duplicate=1,
        events_logged=20_001,
        recommendations_published=20_001,
        dead_lettered={"invalid_json": 1, "missing_field": 7},
        lists_before_first_version=3_000,
        fallback_lists=0,
        failed_requests=0,
        unanswered_events=0,
        rate_limit_per_s=120.0,
        events_per_s=118.0,
        event_to_recommendation_ms=Percentiles(p50=28, p95=80, p99=135),
        model_versions=tuple(made),
        swap_seconds=0.5,
        seconds={"until_stream": 20.0, "until_first_version": 45.0, "total": 200.0},
        **QUALITY,
    )


@pytest.mark.parametrize("width", [80, 160])
def test_the_summary_fits_the_terminal_and_names_who_made_the_lists(width: int) -> None:
    out = io.StringIO()
    print_summary(Console(file=out, width=width), report())
    text = out.getvalue()
    assert all(len(line.rstrip()) <= width for line in text.splitlines())
    for words in (
        "online counts",
        "v000002",
        "66,500",
        "12,345",
        "8: invalid_json, 7 missing_field",
        "3,000 before the first version served, 0 after",
        "first event at 20, first version at 45, end at 200",
        "Nothing was lost",
    ):
        assert words in text
