"""What a data set says of its users: ml-1m's users.dat and ml-100k's u.user."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from millrace.kernel.errors import ConfigurationError

_ENCODING = "latin-1"
_MAX_AGE = 150
# Names of ml-1m's occupation numbers, from its README.
_OCCUPATIONS = (
    *("other", "educator", "artist", "clerical", "college student", "customer service", "doctor", "executive"),
    *("farmer", "homemaker", "K-12 student", "lawyer", "programmer", "retired", "sales", "scientist"),
    *("self-employed", "engineer", "tradesman", "unemployed", "writer"),
)


@dataclass(frozen=True, slots=True)
class UserFacts:
    """Attributes of a user; used for reporting alone, never for ranking.

    Args:
        gender: `F` or `M`.
        age: Years; ml-1m gives the lower end of a group (1 stands for under 18).
        occupation: In words.
    """

    gender: str | None = None
    age: int | None = None
    occupation: str | None = None


def read_users(folder: Path) -> dict[str, UserFacts]:
    """Return facts by user id; empty where the folder has no users file.

    Raises:
        ConfigurationError: The file cannot be read, or a line is broken.
    """
    for name, (separator, facts_of) in _FILES.items():
        path = folder / name
        if path.is_file():
            return _read(path, separator, facts_of)
    return {}


def _read(path: Path, separator: str, facts_of: Callable[[Sequence[str]], UserFacts]) -> dict[str, UserFacts]:
    try:
        lines = path.read_text(encoding=_ENCODING).splitlines()
    except OSError as error:
        raise ConfigurationError(f"The file {path} cannot be read: {error.strerror}.") from None
    users = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        fields = line.split(separator)
        try:
            users[str(int(fields[0]))] = facts_of(fields)
        except (ValueError, IndexError):
            raise ConfigurationError(
                f"The file {path}, line {number}, is broken: expected a user, an age, a gender and an occupation, "
                f"found {line[:80]!r}."
            ) from None
    return users


def _ml1m(fields: Sequence[str]) -> UserFacts:
    """Read `UserID::Gender::Age::Occupation::Zip-code`."""
    return UserFacts(_gender(fields[1]), _age(fields[2]), _OCCUPATIONS[int(fields[3])])


def _ml100k(fields: Sequence[str]) -> UserFacts:
    """Read `user id | age | gender | occupation | zip code`."""
    return UserFacts(_gender(fields[2]), _age(fields[1]), fields[3])


def _gender(text: str) -> str:
    if text not in ("F", "M"):
        raise ValueError(text)
    return text


def _age(text: str) -> int:
    age = int(text)
    if not 0 < age <= _MAX_AGE:
        raise ValueError(text)
    return age


_FILES: dict[str, tuple[str, Callable[[Sequence[str]], UserFacts]]] = {
    "users.dat": ("::", _ml1m),
    "u.user": ("|", _ml100k),
}
