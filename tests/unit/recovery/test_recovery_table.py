"""What the fault runs try, and the table they write."""

from pathlib import Path

import pytest

from millrace.kernel.errors import ConfigurationError
from millrace.load_tests.recovery.__main__ import choose
from millrace.load_tests.recovery.checks import Findings
from millrace.load_tests.recovery.faults import KINDS, TOGETHER, trials_of
from millrace.load_tests.recovery.report import BEGIN, END, markdown, rows_of, write_report
from millrace.load_tests.recovery.trial import TrialResult


def test_every_kind_is_tried_once_a_round() -> None:
    tried = [kind for trial in trials_of(list(KINDS)) for kind in trial]
    assert sorted(tried) == sorted(KINDS)
    assert {kind for group in TOGETHER for kind in group} <= KINDS.keys()


def test_kinds_are_chosen_by_name_or_beginning() -> None:
    assert choose("") == list(KINDS)
    assert choose("cut, kill-redis") == ["kill-redis", "cut-redis", "cut-kafka", "cut-triton", "cut-cassandra"]
    assert choose("kill-worker") == ["kill-worker"]
    assert choose("cut-r,kill-work") == ["kill-worker", "kill-workers", "cut-redis"]
    with pytest.raises(ConfigurationError, match="There is no fault flood"):
        choose("kill,flood")


def test_a_fault_among_several_gets_its_own_row() -> None:
    broken = Findings(lost=2, repeated_lists=1, contradictions=0, letters=1, differences=["count", "history"])
    results = [
        TrialResult(("stop-redis", "stop-broker"), 1.0, 4.0, Findings()),
        TrialResult(("stop-redis",), 3.0, 5.0, broken),
    ]
    rows = rows_of(results)
    assert [row.cells() for row in rows] == [
        ["stop-broker", "1", "0", "0", "0", "0", "0", "1.0", "1.0", "4.0", "4.0"],
        ["stop-redis", "2", "2", "1", "0", "1", "2", "2.0", "3.0", "4.5", "5.0"],
    ]
    assert "| stop-redis | 2 | 2 |" in markdown(rows, ["A note."])
    assert not broken.clean


def test_the_table_goes_between_the_markers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_report(page, "new")
    assert page.read_text() == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    page.write_text("no markers")
    with pytest.raises(ConfigurationError, match="has no lines"):
        write_report(page, "new")
    write_report(tmp_path / "made.md", "new")
    assert (tmp_path / "made.md").read_text() == f"{BEGIN}\nnew\n{END}\n"
