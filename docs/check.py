"""`python docs/check.py`: what the documentation names has to exist.

It reads every Markdown file of the repository and checks links and their anchors, paths, names (`FILE.py::NAME`),
commands with their options, `make` targets, modules, settings, and the length of lines. Pages that source files name
are checked too. One line per finding; exit code 1 if there is any.
"""

import ast
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LINE_LIMIT = 120
PACKAGES = ("consumers", "load_tests", "millrace", "model", "producers", "streams", "triton_repo")
SOURCES = (*PACKAGES, "docker", "docs", "tests")
SOURCE_SUFFIXES = (".py", ".md", ".yaml", ".toml", ".pbtxt", "")
NOT_RUN = "<!-- not run: "

_FENCE = re.compile(r"^( *)```(.*)$")
_SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$")
_SETTING = re.compile(r"\bMILLRACE_[A-Z0-9_]*[A-Z0-9]\b(?!\*)")
_SYMBOL = re.compile(r"^([\w./-]+\.py)::([\w.]+)$")
_PATH = re.compile(r"^[\w.*{},-]+(/[\w.*{},-]+)*/?$")
_PAGE = re.compile(r"\bdocs/[\w/-]+\.md\b")
_OPTION = re.compile(r"^--[a-z]")
_OPTION_NAME = re.compile(r"(?:^|\s)(--[a-z][\w-]*)")
# Folders that commands make in a checkout: what is in them depends on what has been run.
_MADE_BY_RUNNING = frozenset({".millrace", ".venv", "htmlcov"})
_COMMAND_ENDS = ("&&", "||", "|", ";", "&")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a page names and that does not exist."""

    path: Path
    line: int
    what: str

    def __str__(self) -> str:
        place = self.path.relative_to(ROOT) if self.path.is_relative_to(ROOT) else self.path
        return f"{place}:{self.line}: {self.what}"


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page."""

    line: int
    language: str
    text: str
    not_run: str  # the reason for which no test runs it; "" if one does


@dataclass(frozen=True, slots=True)
class Page:
    """A Markdown file, taken apart: lines outside of fences with their numbers, and the fenced blocks."""

    path: Path
    prose: list[tuple[int, str]]
    blocks: list[Block]

    def spans(self) -> Iterator[tuple[int, str]]:
        """Yield each code span with its line number."""
        for number, line in self.prose:
            for span in _SPAN.findall(line):
                yield number, span


def markdown_files() -> list[Path]:
    """Return every Markdown file whose text belongs to the project."""
    found = [*ROOT.glob("*.md"), *(ROOT / "data").glob("*.md")]
    for folder in SOURCES:
        found += [path for path in (ROOT / folder).rglob("*.md") if "_build" not in path.parts]
    return sorted(found)


def read_page(path: Path, text: str) -> Page:
    """Take a page apart."""
    prose: list[tuple[int, str]] = []
    blocks: list[Block] = []
    inside: list[str] | None = None
    mark, start, language = "", 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        fence = _FENCE.match(line)
        if fence and inside is None:
            inside, start, language = [], number, fence[2]
        elif fence and inside is not None:
            blocks.append(Block(start, language, "\n".join(inside) + "\n", mark))
            inside, mark = None, ""
        elif inside is not None:
            inside.append(line)
        else:
            prose.append((number, line))
            mark = _not_run(line) or (mark if not line.strip() else "")
    return Page(path, prose, blocks)


def _not_run(line: str) -> str:
    return line.removeprefix(NOT_RUN).removesuffix("-->").strip() if line.startswith(NOT_RUN) else ""


def check_page(page: Page, text: str) -> Iterator[Finding]:
    """Yield what is wrong with one page."""
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > LINE_LIMIT and not line.lstrip().startswith("|"):
            yield Finding(page.path, number, f"the line has {len(line)} characters; at most {LINE_LIMIT}")
        for name in _SETTING.findall(line):
            if not _in_sources(name) and name.removeprefix("MILLRACE_").lower() not in _settings():
                yield Finding(page.path, number, f"there is no setting {name}")
    for number, line in page.prose:
        for target in _LINK.findall(line):
            yield from (Finding(page.path, number, what) for what in link_faults(page.path, target))
    for number, span in page.spans():
        yield from (Finding(page.path, number, what) for what in span_faults(span, page.path.parent))
    for block in page.blocks:
        if not block.language:
            yield Finding(page.path, block.line, "the block has no language")
        if block.language.split(" ")[0] in ("bash", "sh", "console"):
            yield from (Finding(page.path, block.line, what) for what in script_faults(block.text))


def link_faults(page: Path, target: str) -> Iterator[str]:
    """Yield why a link leads nowhere; addresses of the web are left alone."""
    if re.match(r"^(https?|mailto):", target):
        return
    name, _, anchor = target.partition("#")
    path = (page.parent / name).resolve() if name else page
    if not path.exists():
        yield f"the link {target} leads nowhere"
    elif anchor and anchor not in anchors(path.read_text()):
        yield f"the link {target} names a heading that does not exist"


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and MyST make them."""
    headings = (_HEADING.match(line) for line in text.splitlines())
    titles = (re.sub(r"[^\w\s-]", "", match[1].lower()).strip() for match in headings if match)
    return {re.sub(r"\s", "-", title) for title in titles}


def span_faults(span: str, folder: Path) -> Iterator[str]:
    """Yield what a code span names and neither the repository nor the page's folder has."""
    symbol = _SYMBOL.match(span)
    if symbol:
        yield from symbol_faults(symbol[1], symbol[2])
    elif _OPTION.match(span):
        yield from (f"no command has the option {option}" for option in _OPTION_NAME.findall(span) if _unknown(option))
    elif " " in span or span == "millrace":
        yield from script_faults(span.replace("[", "").replace("]", ""))
    elif _PATH.match(span) and not (_path_exists(span) or (folder / span).exists()):
        yield f"the path {span} does not exist"


def _unknown(option: str) -> bool:
    return option not in _all_options() and not _in_sources(option)


def _path_exists(span: str) -> bool:
    """Say whether a span that looks like a path of the repository is one; spans that do not are let through."""
    first, slash, _ = span.partition("/")
    if first in _MADE_BY_RUNNING:
        return True
    if slash and ((ROOT / first).is_dir() or span.endswith(".py")):
        return any(ROOT.glob(span.rstrip("/")))
    if not slash and span.endswith((".py", ".md")):
        return (ROOT / span).exists() or span in _file_names()
    return True


def symbol_faults(file: str, name: str) -> Iterator[str]:
    """Yield why `FILE.py::NAME` names nothing; NAME is a function, a class, a constant, or CLASS.METHOD."""
    path = ROOT / file
    if not path.is_file():
        yield f"the file {file} does not exist"
    elif name not in defined_names(path.read_text()):
        yield f"{file} has no {name}"


def defined_names(source: str) -> set[str]:
    """Return what a module defines at its top and inside its classes."""
    return set(_names(ast.parse(source).body, ""))


def _names(body: list[ast.stmt], prefix: str) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + node.name
        elif isinstance(node, ast.ClassDef):
            yield prefix + node.name
            yield from _names(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, ast.Assign):
            yield from (prefix + target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield prefix + node.target.id


def script_faults(script: str) -> Iterator[str]:
    """Yield what the commands of a shell script name and nobody offers."""
    for line in script.replace("\\\n", " ").splitlines():
        for words in _commands(line):
            yield from command_faults(words)


def _commands(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    command: list[str] = []
    try:
        words = list(lexer)
    except ValueError:  # a quote that ends on another line: not a command line of ours
        return
    for word in words:
        if word in _COMMAND_ENDS:
            yield command
            command = []
        else:
            command.append(word)
    yield command


def command_faults(words: list[str]) -> Iterator[str]:
    """Yield what is wrong with one command; programs of others are left alone."""
    while words and (re.match(r"^\w+=", words[0]) or words[0] in ("nice", "time", "nohup")):
        words = words[1:]
    if any(word in ("<", ">", ">>") for word in words):
        words = words[: min(words.index(word) for word in ("<", ">", ">>") if word in words)]
    if not words:
        return
    program = words[0].removeprefix(".venv/bin/")
    if program == "millrace":
        yield from millrace_faults(words[1:])
    elif program in ("python", "python3", "python3.11") and "-m" in words:
        at = words.index("-m")
        yield from module_faults(words[at + 1], words[at + 2 :])
    elif program == "make":
        yield from make_faults(words[1:])


def millrace_faults(words: list[str]) -> Iterator[str]:
    """Yield which command or option of `millrace` does not exist, or which argument is one too many."""
    command, name = _command_line(), "millrace"
    while getattr(command, "commands", None) and words and not words[0].startswith("-"):
        name += f" {words[0]}"
        if words[0] not in command.commands:
            yield f"there is no command `{name}`"
            return
        command, words = command.commands[words[0]], words[1:]
    options = {option: param for param in command.params for option in (*param.opts, *param.secondary_opts)}
    options |= {"--help": None, "-h": None}
    yield from (f"`{name}` {fault}" for fault in _argument_faults(command, options, words))


def _argument_faults(command: Any, options: dict[str, Any], words: list[str]) -> Iterator[str]:
    given = 0
    queue = [word for word in words if word.strip(".")]  # "..." stands for whatever follows
    while queue:
        word, equals, _ = queue.pop(0).partition("=")
        if not word.startswith("-") or word == "-":
            given += 1
        elif word not in options:
            yield f"has no option {word}"
            return
        elif not equals and options[word] is not None and not getattr(options[word], "is_flag", False):
            queue = queue[1:]
    taken = [param.nargs for param in command.params if param.param_type_name == "argument"]
    if -1 not in taken and given > sum(taken):
        yield f"takes {sum(taken)} arguments, not {given}"


def module_faults(name: str, words: list[str]) -> Iterator[str]:
    """Yield what is wrong with `python -m NAME ...`, for modules of Millrace alone."""
    if name.partition(".")[0] != "millrace":
        return
    path = ROOT / name.replace(".", "/")
    module = path.with_suffix(".py") if path.with_suffix(".py").is_file() else path / "__main__.py"
    if not module.is_file():
        yield f"there is no module {name} to run"
        return
    if name == "millrace":
        yield from millrace_faults(words)
        return
    text = "".join(each.read_text() for each in module.parent.glob("*.py"))
    for option in (word.partition("=")[0] for word in words if word.startswith("--")):
        if f'"{option}"' not in text and not re.search(rf"\b{option[2:].replace('-', '_')}: ", text):
            yield f"{name} has no option {option}"


def make_faults(words: list[str]) -> Iterator[str]:
    """Yield what is wrong with `make TARGET ARGS="..."`; the arguments are checked against the target's command."""
    makefile = (ROOT / "Makefile").read_text()
    arguments = next((word[5:] for word in words if word.startswith("ARGS=")), "")
    for target in (word for word in words if re.match(r"^[a-z-]+$", word)):
        recipe = re.search(rf"^{target}:.*\n((?:\t.*\n)*)", makefile, re.MULTILINE)
        if not recipe:
            yield f"make has no target {target}"
            continue
        for line in recipe[1].splitlines():
            if "$(ARGS)" in line and "pytest" not in line:
                yield from script_faults(line.strip().replace("$(BIN)/", "").replace("$(ARGS)", arguments))


def check_sources() -> Iterator[Finding]:
    """Yield the pages that source files name and that do not exist."""
    for path in (*_source_files(), *ROOT.glob("*.md"), ROOT / "Makefile", ROOT / "pyproject.toml"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for page in _PAGE.findall(line):
                if not (ROOT / page).is_file():
                    yield Finding(path, number, f"the page {page} does not exist")


@cache
def _source_files() -> tuple[Path, ...]:
    files = (path for folder in SOURCES for path in (ROOT / folder).rglob("*"))
    kept = (path for path in files if path.suffix in SOURCE_SUFFIXES and path.is_file())
    return tuple(path for path in kept if not {"_build", "__pycache__"} & set(path.parts))


@cache
def _file_names() -> frozenset[str]:
    return frozenset(path.name for path in _source_files())


@cache
def _source_text() -> str:
    """Return everything in which an option or a variable may be introduced."""
    others = (ROOT / "docs", ROOT / "tests")
    code = [path for path in _source_files() if not any(path.is_relative_to(folder) for folder in others)]
    return "\n".join(path.read_text() for path in [*code, ROOT / "Makefile", ROOT / ".ci" / "run"])


def _in_sources(name: str) -> bool:
    return re.search(rf"{re.escape(name)}(?![\w-])", _source_text()) is not None


@cache
def _settings() -> frozenset[str]:
    from millrace.kernel.settings import Settings

    return frozenset(Settings.model_fields)


@cache
def _command_line() -> Any:
    import typer

    from millrace.apps.cli.app import build_app

    return typer.main.get_command(build_app())


@cache
def _all_options() -> frozenset[str]:
    def options(command: Any) -> Iterator[str]:
        for param in command.params:
            yield from (*param.opts, *param.secondary_opts)
        for each in getattr(command, "commands", {}).values():
            yield from options(each)

    return frozenset(options(_command_line())) | {"--help"}


def findings() -> list[Finding]:
    """Return everything that is wrong, page by page."""
    found: list[Finding] = []
    for path in markdown_files():
        text = path.read_text()
        found += check_page(read_page(path, text), text)
    return [*found, *check_sources()]


if __name__ == "__main__":
    wrong = findings()
    sys.stdout.write("".join(f"{each}\n" for each in wrong))
    sys.exit(1 if wrong else 0)
