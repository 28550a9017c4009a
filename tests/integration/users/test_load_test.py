"""A whole load test against real servers: Locust, its exchange process, Kafka, and a worker that answers."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

from millrace.kernel.settings import Settings

pytestmark = pytest.mark.services
ROOT = Path(__file__).parents[3]
RATINGS = "userId,movieId,rating,timestamp\n" + "".join(
    f"{user},{user * 10 + number},{1 + number / 2},{1000 + number}\n" for user in range(1, 9) for number in range(6)
)
MOVIES = "movieId,title,genres\n" + "".join(f"{movie},Film {movie} (1999),Drama\n" for movie in range(10, 90))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A small folder in MovieLens' format."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "ratings.csv").write_text(RATINGS)
    (folder / "movies.csv").write_text(MOVIES)
    return folder


def load_test(settings: Settings, data: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    folder = settings.home
    return subprocess.run(
        [
            *(sys.executable, "-P", "-m", "millrace", "load-test", "--into-running", "--data", str(data)),
            *("--page", str(folder / "page.html"), "--report", str(folder / "report.json"), *options),
        ],
        env={**os.environ, **settings.environment()},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )


@contextmanager
def worker(settings: Settings) -> Iterator[None]:
    with (settings.home / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "millrace", "worker"],
            env={**os.environ, **settings.environment()},
            stdout=log,
            stderr=log,
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)


def test_every_event_of_every_user_is_answered(settings: Settings, data: Path) -> None:
    with worker(settings):
        run = load_test(settings, data, "--users", "5", "--run-time", "5s", "--think", "0.05-0.2", "--deadline", "60")
    assert run.returncode == 0, run.stdout + run.stderr
    report = orjson.loads((settings.home / "report.json").read_bytes())
    rows = {(row["type"], row["name"]): row for row in report["rows"]}
    assert report["events"] == report["answered"] > 5
    assert report["events"] == rows["recommendation", "fresh list"]["requests"] == rows["publish", "event"]["requests"]
    assert (report["unmatched"], report["refused"], report["misdirected"], report["open"]) == (0, 0, 0, 0)
    assert "fresh list" in run.stdout
    assert f"HTML report: {settings.home / 'page.html'}" in run.stdout
    assert "recommendation" in (settings.home / "page.html").read_text()


def test_events_that_nobody_answers_are_failures(settings: Settings, data: Path) -> None:
    run = load_test(settings, data, "--users", "2", "--run-time", "2s", "--think", "0.1", "--deadline", "0.5")
    assert run.returncode == 1, run.stdout + run.stderr
    report = orjson.loads((settings.home / "report.json").read_bytes())
    assert report["events"] == report["unmatched"] > 0
    assert "no list came in time" in run.stdout
    assert "Not one list came" in run.stdout


def test_no_broker_is_one_sentence(tmp_path: Path, data: Path) -> None:
    settings = Settings(home=tmp_path, kafka_bootstrap="127.0.0.1:1")
    run = load_test(settings, data, "--users", "1", "--run-time", "1s")
    assert run.returncode == 1
    assert "No Kafka broker answers at 127.0.0.1:1" in run.stderr
