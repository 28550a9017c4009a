"""The changes of docs/how-to/extend.md, applied to a copy of the code, do what their checks say."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from docs_pages import ROOT, check, page

BLOCKS = [block for block in page("docs/how-to/extend.md").blocks if not block.not_run]
# In the copy kernels run as plain Python: compiling all of them takes a minute, and other tests run the compiled ones.
_COMPILED = re.compile(r"return cast\(_Function, .*\)\n")
_SHARED = """from typing import Any, NamedTuple


class Shared(NamedTuple):
    rows: Any
    items: Any
    everyone: Any
    unseen: Any
    lists: Any
    titles: Any
    scratch: Any


share = Shared
"""
_FILE = re.compile(r"^--- (\S+)\n", re.MULTILINE)


def of(language: str) -> list[Any]:
    """Return the page's blocks of a language."""
    return [block for block in BLOCKS if block.language == language]


def apply_diff(text: str, root: Path) -> None:
    """Apply a change without line numbers: the lines it keeps and removes have to stand in the file exactly once."""
    parts = _FILE.split(text)[1:]
    for name, hunk in zip(parts[::2], parts[1::2], strict=True):
        lines = hunk.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] in " -")
        after = "".join(line[1:] for line in lines if line[0] in " +")
        source = (root / name).read_text()
        assert source.count(before) == 1, f"{name} has not exactly once:\n{before}"
        (root / name).write_text(source.replace(before, after))


def interpret(root: Path) -> None:
    """Have the kernels of a copy run as plain Python."""
    decorators = root / "streams" / "compiled.py"
    source, changed = _COMPILED.subn("return function\n", decorators.read_text())
    assert changed == 2
    decorators.write_text(source)
    (root / "streams" / "ranking" / "shared.py").write_text(_SHARED)


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the code with every change of the page."""
    root = tmp_path_factory.mktemp("extended")
    for package in check.PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, root / package, symlinks=True, ignore=ignored)
    for block in of("diff"):
        apply_diff(block.text, root)
    for block in BLOCKS:
        if block.language.startswith("python "):
            (root / block.language.removeprefix("python ")).write_text(block.text)
    return root


def changed_files() -> list[str]:
    """Return the files that the page changes or adds."""
    added = [block.language.removeprefix("python ") for block in BLOCKS if block.language.startswith("python ")]
    return [*added, *dict.fromkeys(name for block in of("diff") for name in _FILE.findall(block.text))]


def test_the_changed_code_is_styled(extended: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml"), *changed_files()],
        cwd=extended,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_the_checks_of_the_page_hold(extended: Path, tmp_path: Path) -> None:
    checks = of("python")
    assert len(checks) == 3
    interpret(extended)
    script = tmp_path / "checks.py"
    script.write_text("\n".join(block.text for block in checks))
    environment = {**os.environ, "PYTHONPATH": str(extended)}
    done = subprocess.run(
        [sys.executable, "-P", str(script)], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
