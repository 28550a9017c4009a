"""A MovieLens folder as events, columns and items."""

from pathlib import Path

from millrace.model.recorded_stream import load_stream


def test_a_folder_becomes_columns_indexed_in_the_order_of_its_catalogue(tmp_path: Path) -> None:
    (tmp_path / "movies.csv").write_text(
        "movieId,title,genres\n7,First (1990),Drama\n5,Second (1991),War\n9,Nobody's (1992),War\n"
    )
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n4,5,3.5,200\n4,7,4.0,100\n2,5,1.0,300\n")
    stream = load_stream(tmp_path)
    table = stream.table()
    ids = {index: item.item_id for index, item in stream.items().items()}
    assert sorted(ids.values()) == ["5", "7", "9"]
    assert [ids[item] for item in table.items.tolist()] == ["7", "5", "5"]
    assert table.users.tolist() == [0, 0, 1]
    assert table.values.tolist() == [4.0, 3.5, 1.0]
    assert table.ts_ms.tolist() == [100_000, 200_000, 300_000]
    assert table.weights.tolist() == [1.0, 1.0, 1.0]


def test_a_rated_item_that_the_movies_file_lacks_is_registered(tmp_path: Path) -> None:
    (tmp_path / "movies.csv").write_text("movieId,title,genres\n7,First (1990),Drama\n7,Again (1990),Drama\n")
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n4,5,3.5,200\n4,7,4.0,100\n2,5,1.0,300\n")
    stream = load_stream(tmp_path)
    assert {index: item.item_id for index, item in stream.items().items()} == {1: "7", 2: "5"}
    assert [event.item for event in stream.events] == [1, 2, 2]
