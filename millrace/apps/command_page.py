"""Writes docs/reference/cli.md from the commands themselves, so that the page cannot be out of date."""

import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from millrace.apps.help_text import EXAMPLES

_HEAD = """# Command line

This page is written by `millrace schemas --write` from the commands; a test checks that it is current.

`--help` after any command prints the same in a terminal. Every failure ends a command with one sentence on standard
error and an exit code that is not 0; [Troubleshoot](../how-to/troubleshoot.md) lists the sentences.
"""
_LINE_LENGTH = 118
_NOTE = re.compile(r"\[dim\](.*?)\[/dim\]")
_MARKUP = re.compile(r"\[/?(?:bold|dim|italic)[^\]]*\]")
_VALUES = {"str": "text", "int": "number", "float": "number", "int range": "number", "float range": "number"}


def command_page(root: Any) -> str:
    """Return the page as Markdown: a section for each command, with its options.

    Args:
        root: The command line as typer makes it; its commands may have commands of their own.
    """
    parts = [_HEAD, _index(root), *_sections(root, "millrace")]
    return "\n".join(part.rstrip() + "\n" for part in parts)


def _index(root: Any) -> str:
    panels: dict[str, list[str]] = {}
    for name, command in root.commands.items():
        panels.setdefault(command.rich_help_panel or "Commands", []).append(f"[{name}](#millrace-{name})")
    rows = [f"| {panel} | {', '.join(links)} |" for panel, links in panels.items()]
    return "\n".join(["| what | commands |", "|---|---|", *rows])


def _sections(group: Any, prefix: str) -> Iterator[str]:
    for name, command in group.commands.items():
        path = f"{prefix} {name}"
        yield _section(command, path, level=len(path.split()))
        if getattr(command, "commands", None):
            yield from _sections(command, path)


def _section(command: Any, path: str, level: int) -> str:
    context = command.make_context(path, [], resilient_parsing=True)
    parts = [f"{'#' * level} {path}", *_paragraphs(command.help or "")]
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    options = [param for param in command.params if param.param_type_name == "option" and not param.hidden]
    if arguments:
        rows = [f"| `{_argument_name(each)}` | {_cell(each.help)} |" for each in arguments]
        parts.append("\n".join(["| argument | meaning |", "|---|---|", *rows]))
    shown = [each for each in options if "--help" not in each.opts]
    if shown:
        rows = [_option_row(each, context) for each in shown]
        parts.append("\n".join(["| option | value | default | meaning |", "|---|---|---|---|", *rows]))
    return "\n\n".join(parts)


def _argument_name(argument: Any) -> str:
    several = " ..." if argument.nargs == -1 else ""
    name = (argument.metavar or argument.name.upper()).replace("...", "").strip("{}[] ").replace("|", "\\|")
    return f"{name}{several}" if argument.required else f"[{name}{several}]"


def _option_row(option: Any, context: Any) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    return f"| {names} | {_value(option, context)} | {_default(option)} | {_cell(option.help)} |"


def _value(option: Any, context: Any) -> str:
    if option.is_flag:
        return ""
    kind = option.display_type(context).strip("<>")
    if "|" in kind:
        return "one of " + ", ".join(f"`{choice}`" for choice in kind.split("|"))
    return _VALUES.get(kind, f"{_VALUES.get(kind[5:-1], kind[5:-1])} ..." if kind.startswith("list[") else kind)


def _default(option: Any) -> str:
    default = option.default
    if option.is_flag or default is None or callable(default) or default in ("", (), []):
        return ""
    return f"`{default}`"


def _cell(text: str | None) -> str:
    return _plain(text or "").replace("|", "\\|").replace("\n", " ")


def _plain(text: str) -> str:
    return _MARKUP.sub("", text)


def _paragraphs(text: str) -> list[str]:
    """Return a command's help as Markdown: prose wrapped, examples in a block."""
    prose: list[str] = []
    examples: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text):
        if paragraph.startswith(EXAMPLES):
            examples += [_plain(_NOTE.sub(r"# \1", line)).strip() for line in paragraph.splitlines()[1:]]
        elif paragraph.strip():
            prose.append(textwrap.fill(_escaped(_plain(" ".join(paragraph.split()))), _LINE_LENGTH))
    return [*prose, *_block(examples)]


def _escaped(text: str) -> str:
    return text.replace("*", "\\*").replace("<", "\\<")


def _block(lines: Sequence[str]) -> list[str]:
    return ["```console\n" + "\n".join(lines) + "\n```"] if lines else []
