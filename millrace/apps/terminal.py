"""Text for a terminal: values from outside made harmless, long values shortened, nouns counted."""

import unicodedata

# Two ids, a time and a version fit into 80 columns beside their words.
ID_WIDTH = 16
ELLIPSIS = "…"
# Cc: control characters; Cf: invisible ones, such as those that reverse the direction of text; Cs: half a character;
# Zl and Zp: line and paragraph separators.
_ESCAPED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# Joins emoji and is part of words in several scripts; it changes nothing around it.
_ZERO_WIDTH_JOINERS = "\u200c\u200d"


def printable(text: str) -> str:
    r"""Return the text with control and formatting characters written as escapes, e.g. `\x1b` and `\n`.

    Ids, titles and reasons come from any client of Kafka. Printed as they are, they could recolour the terminal, move
    its cursor or hide the rest of a line.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    if unicodedata.category(character) in _ESCAPED_CATEGORIES and character not in _ZERO_WIDTH_JOINERS:
        return character.encode("unicode_escape", "surrogatepass").decode("ascii")
    return character


def shorten_middle(text: str, width: int) -> str:
    """Return the text cut to `width` characters, with an ellipsis in its middle: ids differ most at their ends.

    Args:
        text: Any text; escape it with `printable` first.
        width: Most characters of the result, at least 1.
    """
    if len(text) <= width:
        return text
    kept = max(0, width - len(ELLIPSIS))
    tail = kept // 2
    return f"{text[: kept - tail]}{ELLIPSIS}{text[len(text) - tail :]}"


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """Return a count with its noun, e.g. `1 event`, `2,000 events`.

    Args:
        count: How many.
        noun: The singular.
        nouns: The plural; default: the singular and an `s`.
    """
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"
