"""The SDK on every interpreter that it supports: the wheel, its base dependencies and nothing else of Millrace."""

import sys
import uuid
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from installed_sdk import ROOT, Environment, find_python, make_environment

pytestmark = pytest.mark.services

VERSIONS = ("3.11", "3.12", "3.13", "3.14")
# Unit tests of what an app imports; they need the base install, pytest and Hypothesis.
UNIT_TESTS = (
    "contracts/test_contract_decode.py",
    "producers/test_producer_records.py",
    "sdk/test_public_names.py",
    "sdk/test_publisher_arguments.py",
    "sdk/test_subscriber_positions.py",
)
_TOOLS = ("pytest>=8.3,<9", "hypothesis>=6.130,<7")
# Draws any text, for which Hypothesis first makes a table: seconds in each new environment, for no other code of ours.
_ONCE = "test_any_json_object_is_an_event_or_poison"
_RUN_S = 120.0


@pytest.fixture(scope="module")
def environment_of(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Environment]:
    """Return a function that returns the environment of a Python version, made when it is first asked for."""

    @cache
    def make(version: str) -> Environment:
        folder = tmp_path_factory.mktemp("environment") / version
        return make_environment(folder, find_python(version), str(wheel), *_TOOLS)

    return make


@pytest.mark.parametrize("version", VERSIONS)
def test_the_unit_tests_pass(version: str, environment_of: Callable[[str], Environment], tmp_path: Path) -> None:
    settings = tmp_path / "pytest.ini"
    settings.write_text("[pytest]\nfilterwarnings = error\n")
    options = ["-q", "-c", str(settings), "--noconftest", "-p", "no:cacheprovider", "-k", f"not {_ONCE}"]
    files = [str(ROOT / "tests" / "unit" / name) for name in UNIT_TESTS]
    done = environment_of(version).run("-P", "-m", "pytest", *options, *files, cwd=tmp_path, timeout_s=_RUN_S)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("version", VERSIONS)
def test_it_publishes_and_receives(
    version: str, environment_of: Callable[[str], Environment], kafka_broker: str, tmp_path: Path
) -> None:
    round_trip(environment_of(version), kafka_broker, tmp_path)


def test_the_oldest_allowed_libraries_will_do(wheel: Path, kafka_broker: str, tmp_path: Path) -> None:
    environment = make_environment(
        tmp_path / "oldest", Path(sys.executable), f"millrace-recommender @ {wheel.as_uri()}", resolution="lowest"
    )
    round_trip(environment, kafka_broker, tmp_path)
    done = environment.run("-m", "millrace", "--help", cwd=tmp_path, timeout_s=_RUN_S)
    assert done.returncode == 0, done.stderr


def round_trip(environment: Environment, kafka_broker: str, folder: Path) -> None:
    """Publish and receive in another process."""
    script = str(Path(__file__).with_name("round_trip.py"))
    prefix = f"t{uuid.uuid4().hex[:10]}"
    done = environment.run("-P", "-W", "error", script, kafka_broker, prefix, cwd=folder, timeout_s=_RUN_S)
    assert done.stdout.strip() == "['r0', 'r1', 'r2', 'r0']", done.stdout + done.stderr
