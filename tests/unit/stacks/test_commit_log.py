from pathlib import Path

from millrace.apps.stacks.cassandra_server import remove_blank_segments


def test_only_segments_without_a_header_are_removed(tmp_path: Path) -> None:
    contents = {
        "CommitLog-7-1.log": bytes(4096),
        "CommitLog-7-2.log": b"",
        "CommitLog-7-3.log": b"\0\0\0\7" + bytes(4092),
        "CommitLog-7-4_cdc.idx": b"",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    assert remove_blank_segments(tmp_path) == ["CommitLog-7-1.log", "CommitLog-7-2.log"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["CommitLog-7-3.log", "CommitLog-7-4_cdc.idx"]


def test_a_server_that_has_never_run_has_none(tmp_path: Path) -> None:
    assert remove_blank_segments(tmp_path / "commitlog") == []
