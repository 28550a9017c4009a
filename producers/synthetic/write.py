"""Writes a data set as ml-1m's three files."""

from pathlib import Path

from millrace.producers.synthetic.items import GENRES, Items
from millrace.producers.synthetic.people import People
from millrace.producers.synthetic.world import World

_ENCODING = "latin-1"


def write_folder(world: World, folder: Path) -> None:
    """Write ratings.dat, movies.dat and users.dat; ratings by user and time, as in ml-1m.

    Raises:
        OSError: The folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "movies.dat", _movies(world.items))
    _write(folder / "users.dat", _users(world.people))
    _write(folder / "ratings.dat", _ratings(world))


def _write(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join(lines) + "\n", encoding=_ENCODING)


def _movies(items: Items) -> list[str]:
    return [
        f"{place + 1}::{title} ({year})::{'|'.join(GENRES[number] for number in genres)}"
        for place, (title, year, genres) in enumerate(zip(items.titles, items.year, items.genres, strict=True))
    ]


def _users(people: People) -> list[str]:
    return [
        f"{place + 1}::{'F' if female else 'M'}::{age}::{occupation}::{10_000 + place}"
        for place, (female, age, occupation) in enumerate(
            zip(people.female, people.age, people.occupation, strict=True)
        )
    ]


def _ratings(world: World) -> list[str]:
    rows = sorted(range(len(world.users)), key=world.users.__getitem__)
    columns = (world.users.tolist(), world.movies.tolist(), world.stars.tolist(), world.times_s.tolist())
    users, movies, stars, times = columns
    return [f"{users[row] + 1}::{movies[row] + 1}::{stars[row]}::{times[row]}" for row in rows]
