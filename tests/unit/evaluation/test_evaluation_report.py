"""The report of a small stream: it adds up, is the same twice, and can be shown."""

import io
import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from rich.console import Console

from millrace.model.evaluation.grading import grade
from millrace.model.evaluation.options import EvaluateOptions
from millrace.model.evaluation.outcomes import SystemOutcomes
from millrace.model.evaluation.protocols.prequential import PrequentialResult, run
from millrace.model.evaluation.report.__main__ import main as draw
from millrace.model.evaluation.report.build import ms_per_event
from millrace.model.evaluation.report.plots import calibration_plot
from millrace.model.evaluation.split import Split
from millrace.model.recorded_stream import load_stream
from tests.unit.evaluation.plain_system import make_plain, small_stream, write_movielens

BASELINES = ("popularity",)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("small")
    write_movielens(made, small_stream())
    return made


def evaluate(folder: Path, **options: object) -> PrequentialResult:
    asked = EvaluateOptions(**{"path": folder, "baselines": BASELINES, **options})  # type: ignore[arg-type]
    return run(asked, Console(file=io.StringIO()), make_plain)


def without_times(result: PrequentialResult) -> str:
    """Return the figures as text, in which a missing one equals itself."""
    figures = result.as_json()
    for name in ("seconds", "seconds_by_phase", "ms_per_event"):
        del figures[name]
    for baseline in figures["baselines"].values():
        del baseline["seconds"]
    return json.dumps(figures, sort_keys=True)


@pytest.fixture(scope="module")
def result(folder: Path) -> PrequentialResult:
    return evaluate(folder)


def test_figures_are_those_of_the_outcomes(folder: Path, result: PrequentialResult) -> None:
    stream = load_stream(folder)
    split = Split.of(len(stream.events))
    outcomes = grade(stream.events, make_plain("millrace", stream, split, EvaluateOptions()), split)
    report = result.report
    assert report.events_graded == len(outcomes.ranks)
    assert (report.hit_rate_at_10, report.ndcg_at_10, report.mrr) == (
        pytest.approx(outcomes.hits.mean()),
        pytest.approx(outcomes.gains.mean()),
        pytest.approx(outcomes.reciprocal_ranks.mean()),
    )


def test_parts_add_up_to_the_whole(result: PrequentialResult) -> None:
    report = result.report
    for groups in (
        report.by_history_length,
        report.first_events_of_users,
        report.by_gap,
        report.by_user_activity,
        report.by_gender,
        report.by_age,
    ):
        filled = [one for one in groups.values() if one.events]
        assert sum(one.events for one in filled) == report.events_graded
        assert sum(one.share for one in filled) == pytest.approx(1.0)
        assert sum(one.share * one.hit_rate_at_10 for one in filled) == pytest.approx(report.hit_rate_at_10)
        assert sum(one.share * one.baselines["popularity"] for one in filled) == pytest.approx(
            report.baselines["popularity"].hit_rate_at_10
        )
    assert sum(block.events for block in report.over_time) == report.events_graded


def test_intervals_hold_their_figures(result: PrequentialResult) -> None:
    report = result.report
    for system in report.systems.values():
        for name in ("hit_rate_at_10", "ndcg_at_10", "mrr"):
            low, high = system.intervals[name]
            assert low < getattr(system, name) < high
    baseline = report.baselines["popularity"]
    low, high = baseline.hit_rate_behind_interval
    assert low < baseline.hit_rate_behind < high
    assert baseline.hit_rate_behind == pytest.approx(report.hit_rate_at_10 - baseline.hit_rate_at_10)


def test_the_same_twice_and_another_with_another_seed(folder: Path, result: PrequentialResult) -> None:
    assert without_times(evaluate(folder)) == without_times(result)
    # Ties of the same second come in another order.
    assert evaluate(folder, seed=1).report.hit_rate_at_10 != result.report.hit_rate_at_10


def test_processes_change_nothing(folder: Path, result: PrequentialResult) -> None:
    assert without_times(evaluate(folder, parallel=2)) == without_times(result)


def test_fewer_events_are_graded_when_asked(folder: Path) -> None:
    report = evaluate(folder, events=50).report
    assert report.events_graded == 50
    assert report.data.events == report.protocol["stop_row"] == 170


def test_it_is_json_with_the_names_that_readers_rely_on(result: PrequentialResult) -> None:
    figures = json.loads(json.dumps(result.as_json()))
    assert {
        *("hit_rate_at_10", "ndcg_at_10", "mrr", "events_graded", "intervals", "baselines", "by_history_length"),
        *("first_events_of_users", "cold_items", "coverage", "novelty", "list_diversity", "by_genre"),
        *("by_user_activity", "by_gender", "by_age", "largest_gaps", "predicted_rating", "seconds", "ms_per_event"),
    } <= set(figures)
    assert {"share", "hit_rate_at_10"} <= set(figures["cold_items"])
    assert {"hit_rate_at_10", "ndcg_at_10"} <= set(figures["baselines"]["popularity"])
    assert {"rmse", "mae", "user_item_bias", "global_mean", "last_tenth"} <= set(figures["predicted_rating"])


def test_data_facts(folder: Path, result: PrequentialResult) -> None:
    events = load_stream(folder).events
    last: dict[str, int] = {}
    gaps_s = []
    for event in events:
        if event.user_id in last:
            gaps_s.append((event.ts_ms - last[event.user_id]) / 1000)
        last[event.user_id] = event.ts_ms
    facts = result.report.data
    assert facts.same_second_share == pytest.approx(np.mean([gap < 1 for gap in gaps_s]))
    assert facts.session_share == pytest.approx(np.mean([gap <= 1800 for gap in gaps_s]))
    assert facts.events_per_session == pytest.approx(len(events) / (len(last) + sum(gap > 1800 for gap in gaps_s)))
    assert (facts.events, facts.users, facts.items) == (400, 12, 60)


def test_time_is_per_list_or_per_event() -> None:
    outcomes = SystemOutcomes(
        "any",
        np.zeros(1, np.int32),
        np.zeros((1, 10), np.int32),
        np.zeros(1, np.float32),
        {"statistics": 1.0, "candidates": 1.0, "all": 4.0},
        {"lists": 100.0},
    )
    assert ms_per_event(outcomes, 1_000) == {"statistics": 1.0, "candidates": 10.0, "all": 4.0}


def test_the_table_fits_80_columns(result: PrequentialResult) -> None:
    screen = io.StringIO()
    result.show(Console(file=screen, width=80))
    text = screen.getvalue()
    assert f"{result.report.hit_rate_at_10:.4f}" in text
    assert "…" not in text
    assert "nan" not in text
    assert max(len(line) for line in text.splitlines()) <= 80


def test_the_page_stands_alone(result: PrequentialResult) -> None:
    page = result.page()
    assert page.count("<svg") == page.count("</svg>") >= 9
    assert f"{result.report.hit_rate_at_10:.4f}" in page
    assert "<script" not in page
    assert 'src="' not in page


def test_a_plot_is_the_same_twice(result: PrequentialResult) -> None:
    ratings = result.report.predicted_rating
    assert ratings is not None
    assert calibration_plot(ratings.calibration) == calibration_plot(ratings.calibration)


def test_the_plots_can_be_had_as_files(result: PrequentialResult, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text(json.dumps(result.as_json()))
    draw([str(report), str(tmp_path / "figures")])
    files = sorted((tmp_path / "figures").iterdir())
    assert {"quality-over-the-stream.svg", "coverage.svg", "calibration.svg"} <= {file.name for file in files}
    for file in files:
        assert ElementTree.parse(file).getroot().tag.endswith("svg")  # noqa: S314 - written above


def test_what_is_no_report_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(SystemExit):
        draw([str(tmp_path / "other.json"), str(tmp_path)])
    assert "is no report of the prequential protocol" in capsys.readouterr().err


def test_findings_are_shown(result: PrequentialResult) -> None:
    finding = "The feature <b> knows the answer."
    caught = PrequentialResult(result.report.model_copy(update={"leaks": (finding,)}))
    assert caught.problems == (finding,)
    assert "The feature &lt;b&gt; knows the answer." in caught.page()
