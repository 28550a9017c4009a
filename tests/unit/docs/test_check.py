"""The checker of the documentation finds what does not exist, and lets everything else through."""

import re
from pathlib import Path

import pytest
from docs_pages import ROOT, check, page


def faults(text: str) -> list[str]:
    """Return what the checker says of a page with this text."""
    path = ROOT / "docs" / "page.md"
    return [finding.what for finding in check.check_page(check.read_page(path, text), text)]


def test_the_documentation_names_nothing_that_does_not_exist() -> None:
    assert [str(finding) for finding in check.findings()] == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("`tests/recovery/test_gone.py`", "the path tests/recovery/test_gone.py does not exist"),
        ("`test_gone.py`", "the path test_gone.py does not exist"),
        ("`streams/gone/`", "the path streams/gone/ does not exist"),
        ("`docs/check.py::gone`", "docs/check.py has no gone"),
        ("`docs/check.py::Page.gone`", "docs/check.py has no Page.gone"),
        ("`docs/gone.py::check`", "the file docs/gone.py does not exist"),
        ("`millrace gone`", "there is no command `millrace gone`"),
        ("`millrace models gone`", "there is no command `millrace models gone`"),
        ("`millrace publish --gone`", "`millrace publish` has no option --gone"),
        ("`millrace export user-7 user-8`", "`millrace export` takes 1 arguments, not 2"),
        ("`--gone`", "no command has the option --gone"),
        ("`--events 5 --gone=6`", "no command has the option --gone"),
        ("`MILLRACE_GONE`", "there is no setting MILLRACE_GONE"),
        ("`make gone`", "make has no target gone"),
        ("[here](gone.md)", "the link gone.md leads nowhere"),
        ("[here](index.md#gone)", "the link index.md#gone names a heading that does not exist"),
        ("```bash\nA=1 .venv/bin/millrace status --gone | cat\n```", "`millrace status` has no option --gone"),
        ("```bash\nmillrace publish \\\n  --gone\n```", "`millrace publish` has no option --gone"),
        ('```bash\nmake bench ARGS="--gone"\n```', "`millrace bench` has no option --gone"),
        ("```bash\npython -m millrace.gone\n```", "there is no module millrace.gone to run"),
        (
            "```bash\npython -m millrace.load_tests.recovery --gone\n```",
            "millrace.load_tests.recovery has no option --gone",
        ),
        ("```\nmillrace gone\n```", "the block has no language"),
        ("a" * 121, "the line has 121 characters; at most 120"),
    ],
)
def test_what_does_not_exist_is_found(text: str, fault: str) -> None:
    assert faults(text) == [fault]


@pytest.mark.parametrize(
    "text",
    [
        "`docs/check.py`, `tests/unit`, `conftest.py`, `docs/check.py::Page.spans`, `application/json`, `HOME/data/x`",
        "`millrace publish --user 7 --item 318 --value 4.5`, `millrace dlq replay ...`, `millrace --help`",
        "`--help`, `MILLRACE_HOME`, `MILLRACE_*`, [web](https://example.org/x), [records](index.md#reference)",
        "```bash\nmillrace subscribe --json | jq .items  # --gone\nkubectl apply --gone\n```",
        "```python\nx = 'millrace gone'\n```",
        "| " + "a" * 200 + " |",
    ],
)
def test_everything_else_is_let_through(text: str) -> None:
    assert faults(text) == []


def test_what_commands_leave_behind_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".millrace").mkdir()
    monkeypatch.setattr(check, "ROOT", tmp_path)
    assert list(check.span_faults(".millrace/stack.json", tmp_path)) == []


def test_blocks_know_their_language_and_why_they_are_not_run() -> None:
    text = "```bash\na\n```\n\n<!-- not run: takes an hour -->\n\n```python\nb\n```\n\n```json event\nc\n```\n"
    blocks = check.read_page(Path("page.md"), text).blocks
    assert [(block.language, block.text, block.not_run) for block in blocks] == [
        ("bash", "a\n", ""),
        ("python", "b\n", "takes an hour"),
        ("json event", "c\n", ""),
    ]


def test_every_answer_of_where_is_names_code_in_at_most_three_hops() -> None:
    text = (ROOT / "docs/explanation/architecture.md").read_text()
    section = text.partition("## Where is ...?")[2].partition("\n## ")[0]
    answers = [line for line in section.splitlines() if line.startswith("| ") and not line.startswith("| question")]
    assert len(answers) >= 11
    for answer in answers:
        assert 1 <= len(re.findall(r"`[\w/]+\.py::[\w.]+`", answer)) <= 4, answer


def test_no_snippet_is_marked_without_a_reason() -> None:
    for path in check.markdown_files():
        for block in page(str(path.relative_to(ROOT))).blocks:
            assert block.not_run != "-->"
