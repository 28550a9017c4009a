"""The messages of docs/how-to/troubleshoot.md are those of the code."""

import ast
import re

import pytest
from docs_pages import ROOT, check

PAGE = (ROOT / "docs/how-to/troubleshoot.md").read_text()
# Tables of messages; those of the section Streaming also hold what is seen elsewhere.
_ROW = re.compile(r"^\| (`.*?`(?:, `.*?`)*)(?: in a log)? \|", re.MULTILINE)
MESSAGES = [message for row in _ROW.findall(PAGE) for message in re.findall(r"`(.*?)`", row)]


def _text(node: ast.AST) -> str | None:
    """Return a string of the code; what is filled in reads as NUL."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "\0" for part in node.values)
    return None


@pytest.fixture(scope="module")
def strings() -> list[str]:
    """Return every string of the code and the Makefile."""
    found = [(ROOT / "Makefile").read_text()]
    for package in check.PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            found += (text for node in ast.walk(ast.parse(path.read_text())) if (text := _text(node)))
    return found


@pytest.mark.parametrize("message", MESSAGES)
def test_the_code_says_it(message: str, strings: list[str]) -> None:
    fixed = [part for part in re.split(r"[\s:]*\.\.\.[\s:]*|[()]", message) if len(part) > 3]
    assert fixed
    # A sentence may be put together from several strings.
    assert [part for part in fixed if not any(part in each for each in strings)] == []
