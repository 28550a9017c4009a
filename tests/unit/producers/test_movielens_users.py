from pathlib import Path

import pytest

from millrace.kernel.errors import ConfigurationError
from millrace.producers.movielens import UserFacts, load_movielens
from millrace.producers.movielens.users import read_users


def test_ml_1m(tmp_path: Path) -> None:
    (tmp_path / "users.dat").write_text("1::F::1::10::48067\n2::M::56::16::70072\n", encoding="latin-1")
    assert read_users(tmp_path) == {
        "1": UserFacts("F", 1, "K-12 student"),
        "2": UserFacts("M", 56, "self-employed"),
    }


def test_ml_100k(tmp_path: Path) -> None:
    (tmp_path / "u.user").write_text("1|24|M|technician|85711\n2|53|F|other|94043\n\n", encoding="latin-1")
    assert read_users(tmp_path) == {"1": UserFacts("M", 24, "technician"), "2": UserFacts("F", 53, "other")}


def test_they_come_with_the_ratings(tmp_path: Path) -> None:
    (tmp_path / "u.user").write_text("1|24|M|technician|85711\n")
    (tmp_path / "u.data").write_text("1\t7\t3\t881250949\n")
    (tmp_path / "u.item").write_text("7|Kolya (1996)|24-Jan-1997||http://x|" + "|".join(["0"] * 19) + "\n")
    assert load_movielens(tmp_path).users["1"].age == 24


def test_most_data_says_nothing_of_users() -> None:
    assert load_movielens(Path(__file__).parents[3] / "data" / "ml-latest-small").users == {}


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("users.dat", "2::X::25::1::0"),
        ("users.dat", "2::F::0::1::0"),
        ("users.dat", "2::F::25::99::0"),
        ("u.user", "2|25"),
    ],
)
def test_a_broken_line_names_file_and_line(tmp_path: Path, name: str, line: str) -> None:
    good = "1::F::25::1::0" if name == "users.dat" else "1|25|F|other|0"
    (tmp_path / name).write_text(f"{good}\n{line}\n")
    with pytest.raises(ConfigurationError, match=rf"{name}, line 2, is broken"):
        read_users(tmp_path)
