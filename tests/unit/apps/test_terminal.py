"""Text for a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millrace.apps.terminal import plural, printable, shorten_middle


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Toy Story (1995)", "Toy Story (1995)"),
        ("Amélie 天使", "Amélie 天使"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("\x7f\x9b", r"\x7f\x9b"),
        ("abc\u202edef", r"abc\u202edef"),
        ("\u2028", r"\u2028"),
        ("\ud800", r"\ud800"),
        ("\U0001f469\u200d\U0001f52c", "\U0001f469\u200d\U0001f52c"),
        ("", ""),
    ],
)
def test_control_characters_are_written_as_escapes(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_no_control_character_is_left(text: str) -> None:
    shown = printable(text)
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in shown)
    assert printable(shown) == shown


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("abcdefgh", 8, "abcdefgh"),
        ("abcdefgh", 7, "abc…fgh"),
        ("abcdefgh", 4, "ab…h"),
        ("abcdefgh", 2, "a…"),
        ("abcdefgh", 1, "…"),
    ],
)
def test_long_text_loses_its_middle(text: str, width: int, shown: str) -> None:
    assert shorten_middle(text, width) == shown


def test_a_count_agrees_with_its_noun() -> None:
    assert plural(0, "event") == "0 events"
    assert plural(1, "event") == "1 event"
    assert plural(2000, "event") == "2,000 events"
    assert plural(2, "entry", "entries") == "2 entries"
