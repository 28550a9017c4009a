"""The wheel that an app installs, and an environment that holds it with its base dependencies."""

import sys
from pathlib import Path

import pytest
from installed_sdk import Environment, build_wheel, make_environment


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of the built wheel."""
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def app_environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Return an environment with the wheel, installed as the README says."""
    folder = tmp_path_factory.mktemp("app") / "environment"
    return make_environment(folder, Path(sys.executable), f"millrace-recommender @ {wheel.as_uri()}")
