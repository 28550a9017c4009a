"""What the distribution requires: ranges for an app, Python 3.11 for the roles."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from millrace.kernel import extras
from millrace.kernel.extras import how_to_install

PROJECT = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
# Tools of those who work on the code.
_TOOLS = {"dev", "docs"}
ROLE_EXTRAS = [name for name in PROJECT["optional-dependencies"] if name not in _TOOLS]


@pytest.mark.parametrize("line", PROJECT["dependencies"])
def test_the_base_install_pins_nothing(line: str) -> None:
    operators = {one.operator for one in Requirement(line).specifier}
    assert operators == {">=", "<"}


@pytest.mark.parametrize("extra", ROLE_EXTRAS)
def test_an_extra_of_the_roles_is_empty_on_a_newer_python(extra: str) -> None:
    for requirement in map(Requirement, PROJECT["optional-dependencies"][extra]):
        if requirement.name != PROJECT["name"]:
            assert requirement.marker is not None
            assert requirement.marker.evaluate({"python_version": "3.11"})
            assert not requirement.marker.evaluate({"python_version": "3.12"})


def test_a_missing_library_is_explained_for_the_python_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras.sys, "version_info", (3, 11, 7))
    assert how_to_install("serving") == "install it with: pip install 'millrace-recommender[serving]'"
    monkeypatch.setattr(extras.sys, "version_info", (3, 13, 0))
    assert how_to_install("serving") == (
        "it is available on Python 3.11 only, and this is Python 3.13: run the command from an environment of "
        "Python 3.11 with 'millrace-recommender[serving]' installed"
    )
