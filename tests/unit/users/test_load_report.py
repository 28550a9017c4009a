from pathlib import Path

import pytest

from millrace.apps.measuring.percentiles import Percentiles
from millrace.kernel.errors import ConfigurationError
from millrace.load_tests.users.figures import LoadReport, Row, Snapshot, read_snapshot, report_of
from millrace.load_tests.users.matching import Counts
from millrace.load_tests.users.messages import Kind, Reply, Send, decode_reply, decode_send, encode
from millrace.load_tests.users.options import parse_range_s

ROW = Row(
    type="recommendation",
    name="fresh list",
    requests=3,
    failures=0,
    per_s=1.0,
    mean_ms=20.0,
    max_ms=30.0,
    percentiles_ms=Percentiles(p50=20, p95=30, p99=30),
)


def report(counts: Counts, late_s: float = 0.0) -> LoadReport:
    return report_of(Snapshot(users=2, rows=(ROW,), generator_late_s=late_s, counts=counts), run_time_s=5.0)


def test_all_answered_is_a_success() -> None:
    good = report(Counts(sent=3, answered=3, repeated=2, foreign=9))
    assert (good.problems, good.remarks) == ((), ())
    assert good.lists == ROW


@pytest.mark.parametrize(
    ("counts", "problem"),
    [
        (Counts(sent=3, answered=2, unmatched=1), "1 of 3 events had no list before the deadline."),
        (Counts(sent=3, answered=2, refused=1), "1 of 3 events were not confirmed by Kafka."),
        (Counts(sent=3, answered=2, misdirected=1), "1 of 3 events were answered with another user's list."),
        (Counts(sent=3, answered=2), "1 of 3 events ended without a verdict."),
    ],
)
def test_each_way_to_lose_an_event_is_a_problem(counts: Counts, problem: str) -> None:
    assert report(counts).problems == (problem,)


def test_nothing_published_and_nothing_answered_are_problems() -> None:
    assert report(Counts()).problems == ("Not one event was published.",)
    assert report(Counts(sent=2, unmatched=2)).problems[0].startswith("Not one list came")


def test_a_reader_is_told_what_else_the_figures_say() -> None:
    first, second = report(Counts(sent=3, answered=3, fallback=2), late_s=0.4).remarks
    assert first.startswith("2 lists came from the online counts")
    assert "up to 400 ms late" in second


def test_a_snapshot_survives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "load-test.json"
    assert read_snapshot(path) is None
    snapshot = Snapshot(users=2, rows=(ROW,), generator_late_s=0.1, counts=Counts(sent=1))
    snapshot.write(path)
    assert read_snapshot(path) == snapshot


def test_messages_survive_their_line() -> None:
    request = Send("e1", "anna", "7", "rating", 4.5, 12.5)
    assert decode_send(encode(request)) == request
    for reply in (
        Reply(Kind.READY),
        Reply(Kind.ANSWERED, "e1", 13.0, "", ("3", "4"), 800, "deadline"),
        Reply(Kind.COUNTS, counts=Counts(sent=2, answered=1)),
    ):
        assert decode_reply(encode(reply)) == reply


def test_think_times() -> None:
    assert parse_range_s("0.5-1.5") == (0.5, 1.5)
    assert parse_range_s("2") == (2.0, 2.0)
    for text in ("2-1", "long", ""):
        with pytest.raises(ConfigurationError, match="think time"):
            parse_range_s(text)
