"""Takes MovieLens titles and genre lists apart."""

import re

# "Toy Story (1995)", "Fawlty Towers (1975-1979)", "Death Note (2006–2007)": the first year is the release.
# ml-100k marks what was made for video or television behind it: "(1995) (V)".
_YEAR = re.compile(r"\s*\((\d{4})(?:\s*[-–]\s*(?:\d{4})?)?\)(?:\s*\((?:V|TV)\))?\s*$")
# "Matrix, The" is filed under its second word; people say "The Matrix". An alternative title may follow in brackets.
_ARTICLE = re.compile(r"^(?P<main>[^()]+), (?P<article>The|A|An)(?P<rest>\s*(?:\(.*)?)$")
_NO_GENRES = frozenset({"", "(no genres listed)", "unknown"})


def split_title(text: str) -> tuple[str, int | None]:
    """Return the title as people say it, and its year if it carries one.

    >>> split_title("Matrix, The (1999)")
    ('The Matrix', 1999)
    """
    match = _YEAR.search(text)
    title = (text[: match.start()] if match else text).strip()
    year = int(match.group(1)) if match else None
    return _article_first(title), year if year and year >= 1000 else None


def split_genres(text: str) -> tuple[str, ...]:
    """Return the genres of a `|`-separated list; "(no genres listed)" is none."""
    return tuple(genre for genre in text.strip().split("|") if genre not in _NO_GENRES)


def _article_first(title: str) -> str:
    match = _ARTICLE.match(title)
    return f"{match['article']} {match['main']}{match['rest']}" if match else title
