"""Every Python and shell snippet of the documentation runs as printed, or says why it does not.

They run in the order of the pages on one installation, each shell snippet as a script of its own, as somebody would who
copies them one after the other.
"""

import sys
from typing import Any

import pytest
from docs_pages import ROOT, Reader, check, page

pytestmark = [pytest.mark.services, pytest.mark.timeout(600)]

_TIMEOUT_S = 120.0
# Readers start here; `docs/how-to/extend.md` changes code, and has a test of its own for what is not a shell snippet.
_FIRST = ("docs/get-started/quick-start.md", "README.md", "docs/get-started/your-app.md")
_OWN_TEST = "docs/how-to/extend.md"


def snippets() -> list[Any]:
    """Return page, line and block of everything to run."""
    names = [str(path.relative_to(ROOT)) for path in check.markdown_files() if path.is_relative_to(ROOT / "docs")]
    found = []
    for name in dict.fromkeys([*_FIRST, *names]):
        for block in page(name).blocks:
            runs = block.language in (("bash",) if name == _OWN_TEST else ("bash", "python"))
            if runs and not block.not_run:
                found.append(pytest.param(block, id=f"{name}:{block.line}"))
    return found


@pytest.mark.parametrize("block", snippets())
def test_it_runs_as_printed(reader: Reader, block: Any) -> None:
    program = [sys.executable, "-P", "-c"] if block.language == "python" else ["bash", "-euo", "pipefail", "-c"]
    reader.run([*program, block.text], _TIMEOUT_S)
