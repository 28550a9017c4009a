"""The pages of the documentation and their snippets, taken apart by docs/check.py."""

import importlib.util
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[1]


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_check", ROOT / "docs" / "check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["docs_check"] = module
    spec.loader.exec_module(module)
    return module


check = _load()


def page(name: str) -> Any:
    """Return a page by its path in the repository."""
    return check.read_page(ROOT / name, (ROOT / name).read_text())


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody who follows the pages: a folder that looks like the repository, and the environment of a terminal."""

    folder: Path
    environment: dict[str, str]

    def run(self, program: list[str], timeout_s: float) -> None:
        """Run what a page says; it has to succeed."""
        done = subprocess.run(
            program, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=timeout_s
        )
        assert done.returncode == 0, done.stdout + done.stderr
