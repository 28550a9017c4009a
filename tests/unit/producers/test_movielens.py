from collections import Counter
from pathlib import Path

import pytest

from millrace.kernel.errors import ConfigurationError
from millrace.producers.movielens import load_movielens
from millrace.producers.movielens.titles import split_genres, split_title

SMALL = Path(__file__).parents[3] / "data" / "ml-latest-small"


def write(folder: Path, encoding: str = "utf-8", **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, encoding=encoding)
    return folder


def csv_folder(folder: Path, ratings: str, movies: str = "1,Toy Story (1995),Comedy\n") -> Path:
    return write(
        folder,
        ratings__csv="userId,movieId,rating,timestamp\n" + ratings,
        movies__csv="movieId,title,genres\n" + movies,
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Toy Story (1995)", ("Toy Story", 1995)),
        ("Matrix, The (1999)", ("The Matrix", 1999)),
        ("City of Lost Children, The (Cité, La) (1995)", ("The City of Lost Children (Cité, La)", 1995)),
        ("Fawlty Towers (1975-1979)", ("Fawlty Towers", 1975)),
        ("Death Note (2006–2007) ", ("Death Note", 2006)),
        ("Babylon 5", ("Babylon 5", None)),
        (
            "Land Before Time III: The Time of the Great Giving (1995) (V)",
            ("Land Before Time III: The Time of the Great Giving", 1995),
        ),
        ("Cry, the Beloved Country (1995)", ("Cry, the Beloved Country", 1995)),
        ("1984 (0001)", ("1984", None)),
    ],
)
def test_titles(text: str, expected: tuple[str, int | None]) -> None:
    assert split_title(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Comedy|Film-Noir", ("Comedy", "Film-Noir")), ("(no genres listed)", ()), ("", ()), ("Drama\n", ("Drama",))],
)
def test_genres(text: str, expected: tuple[str, ...]) -> None:
    assert split_genres(text) == expected


def test_the_shipped_data_is_whole_and_in_time_order() -> None:
    data = load_movielens(SMALL)
    events = list(data.events())
    assert (len(data), len(data.items)) == (100_836, 9_742)
    assert [event.ts_ms for event in events] == sorted(event.ts_ms for event in events)
    assert len({event.event_id for event in events}) == len(events)
    file_rows = Counter(tuple(line.split(",")[:2]) for line in (SMALL / "ratings.csv").read_text().split()[1:])
    assert Counter((event.user_id, event.item_id) for event in events) == file_rows


def test_parts_join_without_gap_or_overlap() -> None:
    data = load_movielens(SMALL)
    ids = [event.event_id for event in data.events()]
    assert [e.event_id for e in data.events(0.0, 0.6)] + [e.event_id for e in data.events(0.6)] == ids


@pytest.mark.parametrize(("start", "stop"), [(-0.1, 1.0), (0.5, 0.4), (0.0, 1.1)])
def test_impossible_parts_are_refused(tmp_path: Path, start: float, stop: float) -> None:
    data = load_movielens(csv_folder(tmp_path, "1,1,4.0,100\n"))
    with pytest.raises(ConfigurationError, match="not within 0 to 1"):
        data.events(start, stop)


def test_ties_are_ordered_by_the_seed_alone(tmp_path: Path) -> None:
    folder = csv_folder(tmp_path, "".join(f"1,{movie},4.0,{movie // 50}\n" for movie in range(100)))
    movies = [[int(e.item_id) for e in load_movielens(folder, seed).events()] for seed in (1, 1, 2)]
    assert movies[0] == movies[1] != movies[2]
    assert movies[0][:50] != list(range(50))
    assert sorted(movies[0][:50]) == list(range(50))


def test_ml_1m(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        "latin-1",
        ratings__dat="1::2::5::978300760\n1::1::3::978300000\n",
        movies__dat="1::Misérables, Les (1995)::Drama|Musical\n2::Jumanji (1995)::Children's\n",
    )
    data = load_movielens(folder)
    assert [(e.user_id, e.item_id, e.value, e.ts_ms) for e in data.events()] == [
        ("1", "1", 3.0, 978300000000),
        ("1", "2", 5.0, 978300760000),
    ]
    assert [(i.item_id, i.title, i.year, i.genres) for i in data.items] == [
        ("1", "Misérables, Les", 1995, ("Drama", "Musical")),
        ("2", "Jumanji", 1995, ("Children's",)),
    ]


def test_ml_100k(tmp_path: Path) -> None:
    flags = "|".join("1" if position in (1, 16) else "0" for position in range(19))
    folder = write(
        tmp_path,
        "latin-1",
        **{"u__data": "196\t242\t3\t881250949\n", "u__item": f"242|Kolya (1996)|24-Jan-1997||http://x|{flags}\n"},
    )
    data = load_movielens(folder)
    (item,) = data.items
    (event,) = data.events()
    assert (item.title, item.year, item.genres) == ("Kolya", 1996, ("Action", "Thriller"))
    assert (event.user_id, event.item_id, event.value, event.ts_ms) == ("196", "242", 3.0, 881250949000)


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="does not exist"):
        load_movielens(tmp_path / "nowhere")


def test_an_empty_folder_names_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no MovieLens data.*ratings\.csv.*u\.item"):
        load_movielens(tmp_path)


def test_no_ratings(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="holds no ratings"):
        load_movielens(csv_folder(tmp_path, ""))


@pytest.mark.parametrize(
    "line",
    ["1,1,4.0", "1,x,4.0,5", "1,1,nan,5", "1,1,0,5", "1,1,11,5", "1,1,4,-5", "-1,1,4,5", "1,99999999999,4,5"],
)
def test_a_broken_rating_names_file_and_line(tmp_path: Path, line: str) -> None:
    folder = csv_folder(tmp_path, f"1,1,4.0,5\n{line}\n")
    with pytest.raises(ConfigurationError, match=r"ratings\.csv, line 3, is broken"):
        load_movielens(folder)


def test_a_broken_movie_names_file_and_line(tmp_path: Path) -> None:
    folder = csv_folder(tmp_path, "1,1,4.0,5\n", movies="1,Toy Story (1995),Comedy\nx,Y,Z\n")
    with pytest.raises(ConfigurationError, match=r"movies\.csv, line 3, is broken"):
        load_movielens(folder)


def test_another_encoding_is_said(tmp_path: Path) -> None:
    csv_folder(tmp_path, "1,1,4.0,5\n")
    (tmp_path / "movies.csv").write_bytes(b"movieId,title,genres\n1,Mis\xe9rables,Drama\n")
    with pytest.raises(ConfigurationError, match=r"movies\.csv cannot be read"):
        load_movielens(tmp_path)
