"""`millrace evaluate`: what it reads from its options, and how it ends."""

from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from millrace.apps.cli.app import build_app
from millrace.apps.cli.evaluate import EXIT_NOT_BELIEVED
from millrace.apps.cli.evaluate_options import parse_baselines, parse_every, parse_moment
from millrace.kernel.errors import ConfigurationError, MillraceError
from millrace.model.baselines.by_name import BASELINES
from millrace.model.evaluation import protocols
from millrace.model.evaluation.grading import ListTiming
from millrace.model.evaluation.options import DEFAULT_BASELINES, EvaluateOptions


class Report:
    """What a protocol returns."""

    def __init__(self, problems: tuple[str, ...] = ()) -> None:
        self.problems = problems

    def as_json(self) -> dict[str, Any]:
        return {"hit_rate_at_10": 0.25}

    def show(self, console: Console) -> None:
        console.print("a table")

    def page(self) -> str:
        return "<!doctype html>"


class Asked:
    """Stands for the protocols and keeps what they were asked."""

    def __init__(self) -> None:
        self.options: EvaluateOptions | None = None
        self.report = Report()

    def __call__(self, options: EvaluateOptions, console: Console) -> Report:
        self.options = options
        return self.report


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    stand_in = Asked()
    monkeypatch.setattr(protocols, "run_protocol", stand_in)
    return stand_in


def evaluate(*arguments: str) -> Any:
    return CliRunner().invoke(build_app(), ["evaluate", *arguments], catch_exceptions=True)


def test_what_is_not_asked_for_is_the_protocol_of_the_published_figures(asked: Asked) -> None:
    assert evaluate("prequential", "somewhere").exit_code == 0
    assert asked.options == EvaluateOptions(path=Path("somewhere"))


def test_options_arrive(asked: Asked, tmp_path: Path) -> None:
    evaluate(
        *("time-split", "data", "--seed", "3", "--events", "9", "--statistics", "live"),
        *("--moment", "after-event", "--delay", "0.5", "--rate", "120", "--no-request-time", "--cut", "0.8"),
        *("--without", "content", "--without", "encoder", "--baseline", "ease", "--baseline", "markov"),
        *("--every", "100,0.2", "--parallel", "2", "--work", str(tmp_path), "--resume"),
    )
    assert asked.options == EvaluateOptions(
        path=Path("data"),
        protocol="time-split",
        seed=3,
        events=9,
        moment=ListTiming.AFTER_EVENT,
        delay_s=0.5,
        rate_per_s=120.0,
        request_time=False,
        without=("content", "encoder"),
        baselines=("ease", "markov"),
        ranker_events=100,
        encoder_growth=0.2,
        cut=0.8,
        statistics_live=True,
        parallel=2,
        work=tmp_path,
        resume=True,
    )


def test_files_are_written(asked: Asked, tmp_path: Path) -> None:
    figures, page = tmp_path / "report.json", tmp_path / "report.html"
    result = evaluate("prequential", "data", "--report", str(figures), "--page", str(page))
    assert result.exit_code == 0
    assert "a table" in result.output
    assert figures.read_text() == '{\n  "hit_rate_at_10": 0.25\n}\n'
    assert page.read_text() == "<!doctype html>"


def test_a_report_that_cannot_be_believed_ends_with_a_code_of_its_own(asked: Asked) -> None:
    asked.report = Report(("The feature x knows the answer.",))
    result = evaluate("prequential", "data")
    assert result.exit_code == EXIT_NOT_BELIEVED
    assert "The feature x knows the answer." in result.output


def test_a_missing_folder_is_said_before_the_work(asked: Asked, tmp_path: Path) -> None:
    result = evaluate("prequential", "data", "--report", str(tmp_path / "nowhere" / "report.json"))
    assert isinstance(result.exception, MillraceError)
    assert "does not exist" in str(result.exception)
    assert asked.options is None


@pytest.mark.parametrize(
    ("text", "read"), [("", (None, None)), ("500", (500, None)), ("500,0.05", (500, 0.05)), (",1", (None, 1.0))]
)
def test_rhythms(text: str, read: tuple[int | None, float | None]) -> None:
    assert parse_every(text) == read


@pytest.mark.parametrize("text", ["x", "0", "5,0", "5,x", "5,2", "-1,0.1", "nan,nan", "5,nan"])
def test_impossible_rhythms(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--every is unusable"):
        parse_every(text)


@pytest.mark.parametrize(
    ("names", "read"),
    [
        (None, DEFAULT_BASELINES),
        ([], DEFAULT_BASELINES),
        (["none"], ()),
        (["ease", "ease"], ("ease",)),
        (["all"], tuple(BASELINES)),
    ],
)
def test_baselines(names: list[str] | None, read: tuple[str, ...]) -> None:
    assert parse_baselines(names) == read


def test_unknown_names_are_said_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="no baseline magic; choose from: popularity"):
        parse_baselines(["magic"])
    with pytest.raises(ConfigurationError, match="no moment later; choose one of: on-request, after-event"):
        parse_moment("later")
    with pytest.raises(ConfigurationError, match="no protocol magic; choose one of: prequential"):
        protocols.run_protocol(EvaluateOptions(protocol="magic"), Console())


OF_PROTOCOLS = {
    "time-split": ("data",),
    "incremental": ("data",),
    "masked": ("data",),
    "leave-one-out": ("sequences.txt",),
    "ratings": ("u1.base", "u1.test"),
}


@pytest.mark.parametrize(("protocol", "arguments"), OF_PROTOCOLS.items())
def test_each_protocol_has_the_defaults_of_its_options(asked: Asked, protocol: str, arguments: tuple[str, ...]) -> None:
    assert evaluate(protocol, *arguments).exit_code == 0
    assert asked.options is not None
    given = {"leave-one-out": ("sequences",), "ratings": ("train", "test")}.get(protocol, ("path",))
    files = dict(zip(given, map(Path, arguments), strict=True))
    assert asked.options == EvaluateOptions(protocol=protocol, **files)  # type: ignore[arg-type]


def test_the_numbers_of_the_other_protocols_arrive(asked: Asked) -> None:
    evaluate("masked", "data", "--hide", "0.5", "--negatives", "7", "--candidates", "c.txt")
    assert asked.options is not None
    assert (asked.options.hide, asked.options.negatives, asked.options.candidates) == (0.5, 7, Path("c.txt"))
    evaluate("incremental", "data", "--refreshes", "2", "--training", "0.3", "--warm-up", "0.2")
    assert (asked.options.refreshes, asked.options.training, asked.options.warm_up) == (2, 0.3, 0.2)
    evaluate("leave-one-out", "s.txt", "--sampled", "100", "--without", "encoder")
    assert (asked.options.sampled, asked.options.without) == (100, ("encoder",))
    evaluate("prequential", "data", "--diversity", "0.3,0", "--configuration", "model.toml")
    assert (asked.options.diversities, asked.options.configuration) == ((0.0, 0.3), Path("model.toml"))


@pytest.mark.parametrize("option", ["--sampled", "--hide", "--cut", "--refreshes"])
def test_an_option_of_another_protocol_is_refused(asked: Asked, option: str) -> None:
    assert evaluate("prequential", "data", option, "1").exit_code == 2
    assert asked.options is None


@pytest.mark.parametrize("protocol", protocols.PROTOCOLS)
def test_the_help_has_examples(protocol: str) -> None:
    command = typer.main.get_command(build_app()).commands["evaluate"].commands[protocol]  # type: ignore[attr-defined]
    assert f"millrace evaluate {protocol} " in (command.help or "")
