"""`millrace` is the only name: what an app imports, and what its own folders may be called."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDERS = ("consumers", "load_tests", "model", "producers", "streams", "triton_repo")
_IMPORT_ALL = """
import json, pkgutil, sys
import millrace
for module in pkgutil.walk_packages(millrace.__path__, "millrace."):
    if module.name.endswith(("__main__", "locustfile")) or ".triton_repo" in module.name:
        continue
    __import__(module.name)
print(json.dumps({name: getattr(module, "__file__", None) for name, module in sys.modules.items()}))
"""


def run_python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-c", code]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_linter_refuses_the_second_name(folder: str) -> None:
    command = [sys.executable, "-m", "ruff", "check", "--stdin-filename", "millrace/example.py", "-"]
    code = f'"""An example."""\n\nimport {folder}\n\nprint({folder})\n'
    done = subprocess.run(command, input=code, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "TID251" in done.stdout
    assert f"Import millrace.{folder}" in done.stdout


def test_no_module_is_loaded_under_two_names(tmp_path: Path) -> None:
    done = run_python(_IMPORT_ALL, tmp_path)
    assert done.returncode == 0, done.stderr
    modules: dict[str, str | None] = json.loads(done.stdout)
    ours = [name for name in modules if name.partition(".")[0] == "millrace"]
    assert len(ours) > 300
    assert not [name for name in modules if name.partition(".")[0] in FOLDERS]
    files = [
        str(Path(file).resolve()) for file in modules.values() if file and Path(file).resolve().is_relative_to(ROOT)
    ]
    files = [file for file in files if ".venv" not in file]
    assert len(files) == len(set(files))


def test_an_app_with_folders_of_the_same_names_imports_both(tmp_path: Path) -> None:
    for name in ("consumers", "producers", "streams"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("OWNER = 'the app'\n")
    (tmp_path / "model.py").write_text("OWNER = 'the app'\n")
    code = """
import sys
sys.path.insert(0, ".")
import consumers, model, producers, streams
from millrace import ActivityPublisher, RecommendationSubscriber
print({one.OWNER for one in (consumers, model, producers, streams)}, ActivityPublisher.__module__)
"""
    done = run_python(code, tmp_path)
    assert done.stdout.strip() == "{'the app'} millrace.producers.publisher", done.stderr


def test_every_public_name_is_there_and_loads_on_first_use(tmp_path: Path) -> None:
    code = """
import sys, millrace
early = [name for name in sys.modules if name.startswith("millrace.")]
print(early, [name for name in millrace.__all__ if not callable(getattr(millrace, name))])
"""
    assert run_python(code, tmp_path).stdout.strip() == "[] []"


def arguments_of_python(tree: ast.AST) -> Iterator[tuple[int, list[object]]]:
    """Yield line and literal arguments of every list or tuple that begins with this interpreter."""
    for node in ast.walk(tree):
        if isinstance(node, ast.List | ast.Tuple) and node.elts and ast.unparse(node.elts[0]) == "sys.executable":
            yield node.lineno, [one.value for one in node.elts if isinstance(one, ast.Constant)]


def test_child_processes_keep_the_working_directory_off_the_path() -> None:
    """An app's own `model.py` must not stand in for a library that a role imports."""
    files = [path for folder in ("millrace", *FOLDERS) for path in sorted((ROOT / folder).rglob("*.py"))]
    started = [
        (f"{path.relative_to(ROOT)}:{line}", arguments)
        for path in files
        for line, arguments in arguments_of_python(ast.parse(path.read_text()))
    ]
    assert len(started) >= 8
    assert not [place for place, arguments in started if not {"-P", "-I"} & set(arguments)]
