import subprocess
import sys
from pathlib import Path

import pytest
import typer

from millrace.apps.cli import app as app_module
from millrace.apps.cli.app import COMMAND_MODULES, build_app, main
from millrace.kernel.errors import ConfigurationError, TransientError

HEAVY = ("tensorflow", "keras", "faust", "numpy", "numba", "redis", "tritonclient", "confluent_kafka", "cassandra")


def run(*arguments: str, code: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *(("-c", code) if code else ("-P", "-m", "millrace")), *arguments]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "120", **environment},
        cwd=Path(__file__).parents[3],
    )


@pytest.mark.parametrize(
    "imported",
    [
        "millrace.apps.cli.app; millrace.apps.cli.app.build_app()",
        "millrace.apps.cli.publish, millrace.apps.cli.subscribe, millrace.apps.cli.replay, millrace.apps.cli.dlq",
        "millrace.producers, millrace.producers.replay, millrace.producers.movielens, millrace.producers.synthetic",
        "millrace.producers.dead_letters",
        "millrace.consumers.subscriber, millrace.apps.cli.subscribe_screen, millrace.apps.titles",
    ],
)
def test_an_app_that_publishes_and_subscribes_imports_nothing_heavy(imported: str) -> None:
    code = f"import {imported}\nimport sys\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    result = run(code=code)
    assert result.stderr == ""
    assert result.stdout.strip() == "[]"


def test_help_lists_commands_with_examples() -> None:
    result = run("--help")
    assert result.returncode == 0
    for text in ("publish", "subscribe", "replay", "dlq", "millrace publish --user 7"):
        assert text in result.stdout


@pytest.mark.parametrize("command", [["publish"], ["replay"], ["subscribe"], ["dlq"], ["dlq", "replay"], ["schemas"]])
def test_every_command_of_the_app_side_explains_itself(command: list[str]) -> None:
    result = run(*command, "--help")
    assert result.returncode == 0
    if command != ["dlq", "replay"]:
        assert "Examples" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["publish", "--user", "7", "--item", "1", "--value", "4"],
        ["subscribe", "--limit", "1"],
        ["dlq", "list"],
        ["replay", "--synthetic", "users=2,items=20,events=3"],
    ],
)
def test_without_a_broker_there_is_one_sentence(arguments: list[str], tmp_path: Path) -> None:
    result = run(*arguments, MILLRACE_KAFKA_BOOTSTRAP="127.0.0.1:1", MILLRACE_HOME=str(tmp_path))
    assert result.returncode == 1
    assert "No Kafka broker answers at 127.0.0.1:1" in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["publish", "--user", "7"], "needs --user and --item"),
        (["publish", "x.json"], "The file x.json cannot be read"),
        (["recommend", ""], "The id of the user is empty"),
        (["export", " "], "The id of the user is empty"),
        (["forget", "", "--yes"], "The id of the user is empty"),
        (["subscribe", "--user", ""], "The id of the user is empty"),
        (["publish", "--user", " ", "--item", "1", "--value", "3"], "The id of the user is empty"),
        (["publish", "--user", "7", "--item", "", "--value", "3"], "The id of the item is empty"),
        (["import", "/no\x1b[31m"], "The data folder /no\\x1b[31m does not exist"),
        (["replay", "/nonexistent"], "does not exist"),
        (["replay", "docs"], "holds no MovieLens data"),
        (["replay", "docs", "--speed", "fast"], "write it like 10000x"),
        (["replay", "docs", "--rate", "0"], "must be greater than 0"),
        (["replay", "--synthetic", "films=3"], "The part 'films=3' of the sizes is unusable"),
        (["replay"], "either the path"),
        (["dlq", "replay", "--yes"], "Say which dead letters"),
        (["schemas", "--write", "--check"], "either --write or --check"),
    ],
)
def test_bad_arguments_are_one_sentence(arguments: list[str], sentence: str) -> None:
    result = run(*(arguments if arguments != ["replay"] else ["replay", "--rate", "3"]))
    assert result.returncode == 1
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr


FIVE_RATINGS = "userId,movieId,rating,timestamp\n1,1,4.0,100\n1,2,3.0,200\n2,1,5.0,300\n2,2,2.0,400\n3,1,4.5,500\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["evaluate", "prequential", "FOLDER"], "a first model needs 50"),
        (["evaluate", "time-split", "FOLDER"], "a first model needs 50"),
        (["evaluate", "incremental", "FOLDER"], "a first model needs 50"),
        (["evaluate", "masked", "FOLDER"], "No user of"),
        (["tune", "FOLDER"], "a first model needs 50"),
        (["train", "FOLDER"], "at least 200 events"),
        (["evaluate", "prequential", "FOLDER/ratings.csv"], "is a file; give the folder"),
        (["evaluate", "prequential", "FOLDER/nowhere"], "does not exist"),
        (["evaluate", "leave-one-out", "FOLDER/ratings.csv"], "line 1"),
        (["evaluate", "ratings", "FOLDER/movies.csv", "FOLDER/movies.csv"], "Line 2 of"),
    ],
)
def test_too_little_data_is_one_sentence(arguments: list[str], sentence: str, tmp_path: Path) -> None:
    (tmp_path / "movies.csv").write_text("movieId,title,genres\n1,A (1999),Drama\n2,B (2000),War\n")
    (tmp_path / "ratings.csv").write_text(FIVE_RATINGS)
    result = run(*(part.replace("FOLDER", str(tmp_path)) for part in arguments), MILLRACE_HOME=str(tmp_path / "home"))
    assert result.returncode == 1
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr


def test_schemas_are_current_by_the_command() -> None:
    assert run("schemas", "--check").returncode == 0


def test_stale_schemas_fail_the_check(tmp_path: Path) -> None:
    result = run("schemas", "--check", "--folder", str(tmp_path))
    assert result.returncode == 1
    assert "run `millrace schemas --write`" in result.stderr
    assert run("schemas", "--write", "--folder", str(tmp_path)).returncode == 0
    assert run("schemas", "--check", "--folder", str(tmp_path)).returncode == 0


def app_raising(error: BaseException) -> typer.Typer:
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    def fail() -> None:
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "code", "shown"),
    [
        (ConfigurationError("The port [80] is busy."), 1, "The port [80] is busy."),
        (TransientError("Redis is away."), 1, "Redis is away."),
        (
            ModuleNotFoundError("No module named 'faust'", name="faust"),
            1,
            "pip install 'millrace-recommender[serving]'",
        ),
        (ModuleNotFoundError("No module", name="tensorflow.keras"), 1, "pip install 'millrace-recommender[training]'"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_failures_are_one_sentence_and_a_code(
    error: BaseException, code: int, shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(app_module, "build_app", lambda: app_raising(error))
    monkeypatch.setattr(sys, "argv", ["millrace"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == code
    written = capsys.readouterr().err
    assert shown in written
    assert len(written.strip().splitlines()) == bool(shown)


def test_defects_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "build_app", lambda: app_raising(ModuleNotFoundError("x", name="millrace.typo")))
    monkeypatch.setattr(sys, "argv", ["millrace"])
    with pytest.raises(ModuleNotFoundError):
        main()


def test_every_command_module_that_exists_is_listed() -> None:
    folder = Path(app_module.__file__).parent
    commands = {path.stem for path in folder.glob("*.py") if "def register(" in path.read_text()}
    assert commands <= set(COMMAND_MODULES)
    build_app()
