"""What `import millrace` offers, and what it does not load."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import millrace

# What the base install leaves out, and what costs an app time that only another part of the SDK needs.
HEAVY = ("faust", "aiokafka", "numpy", "redis", "tensorflow", "keras", "onnxruntime", "tritonclient", "numba")


def loaded_by(code: str, folder: Path) -> list[str]:
    """Return the modules that a fresh interpreter holds after some code."""
    report = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-P", "-c", report], cwd=folder, capture_output=True, text=True, check=True)
    modules: list[str] = json.loads(done.stdout)
    return modules


def test_the_import_alone_loads_nothing_else(tmp_path: Path) -> None:
    modules = loaded_by("import millrace", tmp_path)
    assert [name for name in modules if name.startswith("millrace")] == ["millrace"]
    assert not {"kafka", "pydantic", "orjson", "rich", "typer"} & set(modules)


def test_the_whole_sdk_needs_only_the_base_install(tmp_path: Path) -> None:
    modules = loaded_by("from millrace import *", tmp_path)
    assert "millrace.producers.publisher" in modules
    assert not {*HEAVY, "rich", "typer"} & set(modules)


@pytest.mark.parametrize("name", millrace.__all__)
def test_a_public_name_is_what_its_module_defines(name: str) -> None:
    value: Any = getattr(millrace, name)
    assert value.__name__ == name
    assert value.__doc__


def test_dir_lists_the_public_names() -> None:
    assert {*millrace.__all__, "__version__"} <= set(dir(millrace))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'millrace' has no attribute 'Publisher'"):
        _ = millrace.Publisher
