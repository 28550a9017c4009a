"""The README's Python runs from an installed wheel, in a folder whose own modules have the names of ours."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from installed_sdk import ROOT, Environment
from running_up import running_up
from waiting import until

pytestmark = pytest.mark.services

SNIPPETS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
# The first list waits until a worker has compiled its kernels, which a fresh checkout does once.
_RUN_S = 540.0
_STOP_S = 30.0
_LISTED_S = 60.0


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the home folder of a stack started by `millrace up`."""
    folder = tmp_path_factory.mktemp("home")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MILLRACE_")}
    with running_up(folder, environment | {"MILLRACE_HOME": str(folder)}):
        yield folder


@pytest.fixture
def app_folder(tmp_path: Path) -> Path:
    """Return the folder of an app that has modules named like the folders of this repository."""
    for name in ("consumers", "producers", "streams"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("OWNER = 'the app'\n")
    (tmp_path / "model.py").write_text("OWNER = 'the app'\n")
    return tmp_path


@pytest.mark.timeout(_RUN_S + _LISTED_S + _STOP_S)
@pytest.mark.parametrize("snippet", SNIPPETS, ids=range(len(SNIPPETS)))
def test_a_snippet_runs_as_printed(snippet: str, home: Path, app_environment: Environment, app_folder: Path) -> None:
    script = app_folder / "app.py"
    script.write_text(
        f"{snippet}\nimport consumers, model, producers, streams\n"
        "assert {one.OWNER for one in (consumers, model, producers, streams)} == {'the app'}\n"
    )
    printed: list[str] = []

    def run() -> bool:
        done = app_environment.run(str(script), cwd=app_folder, timeout_s=_RUN_S, MILLRACE_HOME=str(home))
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout)
        return "sku-2" in done.stdout

    # As the README says, the list of the first run may be empty: the items are new.
    if not run():
        until(run, f"a list with the other item, not {printed}", _LISTED_S)
