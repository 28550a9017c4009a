"""Environments that hold the built wheel with its base dependencies, as an app installs it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from local_servers import REQUIRE

ROOT = Path(__file__).parents[1]
DEVELOPED_ON = "3.11"
_INSTALL_S = 120.0


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment.

    Args:
        folder: Where it is.
    """

    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def run(self, *arguments: str, cwd: Path, timeout_s: float, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run its interpreter; no MILLRACE_* variable of this process is passed on."""
        passed = {name: value for name, value in os.environ.items() if not name.startswith(("MILLRACE_", "PYTHON"))}
        return subprocess.run(
            [str(self.python), *arguments],
            cwd=cwd,
            env={**passed, **variables},
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )


def build_wheel(folder: Path) -> Path:
    """Build the wheel of this checkout, from a copy: setuptools leaves build/ where it works."""
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for link in [ROOT / "millrace", *(path for path in (ROOT / "millrace").iterdir() if path.is_symlink())]:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / link.name, source / link.name, symlinks=True, ignore=ignored)
    _uv("build", "--quiet", "--wheel", "--out-dir", str(folder), str(source))
    (wheel,) = folder.glob("*.whl")
    return wheel


def make_environment(folder: Path, python: Path, *requirements: str, resolution: str = "highest") -> Environment:
    """Create a virtual environment and install requirements; where the index cannot be reached the test is skipped."""
    _uv("venv", "--quiet", "--python", str(python), str(folder))
    environment = Environment(folder)
    interpreter = ["--python", str(environment.python)]
    _uv("pip", "install", "--quiet", "--resolution", resolution, *interpreter, *requirements)
    return environment


def find_python(version: str) -> Path:
    """Return an interpreter of a version such as 3.12; where there is none the test is skipped, loudly.

    The version that Millrace is developed on has to be there where services are required.
    """
    for candidate in _candidates(version):
        if _is_version(candidate, version):
            return candidate
    text = f"NOT TESTED, there is no Python {version} on this machine."
    if version == DEVELOPED_ON and os.environ.get(REQUIRE) == "1":
        pytest.fail(text, pytrace=False)
    pytest.skip(text)


def _candidates(version: str) -> Iterator[Path]:
    """Yield what may be an interpreter of a version: this one, one on the path, those of pyenv."""
    yield Path(sys.executable)
    on_path = shutil.which(f"python{version}")
    if on_path is not None:
        yield Path(on_path)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}"))


def _is_version(python: Path, version: str) -> bool:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([str(python), "-I", "-c", code], capture_output=True, text=True, check=False)
    return done.returncode == 0 and done.stdout.strip() == version


def _uv(*arguments: str) -> None:
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert uv is not None, "uv is missing; `make install` brings it"
    done = subprocess.run([uv, *arguments], capture_output=True, text=True, timeout=_INSTALL_S, check=False)
    if done.returncode == 0:
        return
    if "Failed to fetch" in done.stderr and os.environ.get(REQUIRE) != "1":
        pytest.skip(f"NOT TESTED, the package index cannot be reached: {done.stderr}")
    pytest.fail(f"uv {' '.join(arguments)}: {done.stderr}", pytrace=False)
