import io

import numpy as np
import pytest
from rich.console import Console

from millrace.model.evaluation.outcomes import UNRANKED
from millrace.model.evaluation.protocols.tables import (
    RANKING_COLUMNS,
    FigureTable,
    TablesReport,
    ranking_figures,
    ranking_row,
)
from millrace.model.evaluation.report.intervals import UserBootstrap


def test_figures_of_places_are_those_of_their_definitions() -> None:
    places = [0, 3, 10, UNRANKED]
    figures = ranking_figures(places, UserBootstrap(np.arange(4, dtype=np.int32), 0, 50))
    assert figures["hit_rate_at_10"] == 0.5
    assert figures["ndcg_at_10"] == pytest.approx((1.0 + 1.0 / np.log2(5.0)) / 4)
    assert figures["mrr"] == pytest.approx((1.0 + 1 / 4 + 1 / 11) / 4)
    low, high = figures["intervals"]["hit_rate_at_10"]
    assert 0.0 <= low < 0.5 < high <= 1.0
    assert len(ranking_row("one", figures)) == len(RANKING_COLUMNS)


def test_a_report_is_shown_written_and_drawn_alike() -> None:
    table = FigureTable("A <title>", ("", "HR@10"), (("ours & theirs", "0.5000"),))
    report = TablesReport("masked", {"hit_rate_at_10": 0.5}, (table,), ("Read with care.",), ("It knew.",))
    assert report.as_json() == {"protocol": "masked", "hit_rate_at_10": 0.5, "remarks": ["Read with care."]}
    page = report.page()
    assert "A &lt;title&gt;" in page
    assert "ours &amp; theirs" in page
    assert "It knew." in page
    out = io.StringIO()
    report.show(Console(file=out, width=100))
    assert "0.5000" in out.getvalue()
    assert "Read with care." in out.getvalue()
