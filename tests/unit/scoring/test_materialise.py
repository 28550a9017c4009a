"""Copying a version into Triton's repository is all or nothing."""

from pathlib import Path

import pytest

from millrace.kernel.errors import FatalError
from millrace.kernel.settings import Settings
from millrace.model.triton_admin import LocalAdmin, make_admin, materialise
from millrace.streams.scoring.choose import make_scorer
from millrace.streams.scoring.onnx import OnnxScorer


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"graph")
    return path


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("backend", "names"),
    [
        ("python", {"config.pbtxt", "1/model.py", "1/model.onnx"}),
        ("onnxruntime", {"config.pbtxt", "1/model.onnx"}),
        ("onnxruntime-cpu", {"config.pbtxt", "1/model.onnx"}),
    ],
)
def test_a_version_is_complete(tmp_path: Path, graph: Path, backend: str, names: set[str]) -> None:
    folder = materialise(tmp_path / "repository", "recommender_v000001", graph, backend)
    assert files(folder) == names
    assert f'backend: "{backend.removesuffix("-cpu")}"' in (folder / "config.pbtxt").read_text()
    assert (folder / "1" / "model.onnx").read_bytes() == b"graph"


def test_a_newer_copy_replaces_all_of_the_older_one(tmp_path: Path, graph: Path) -> None:
    folder = materialise(tmp_path / "repository", "one", graph)
    graph.write_bytes(b"newer")
    materialise(tmp_path / "repository", "one", graph, "onnxruntime")
    assert files(folder) == {"config.pbtxt", "1/model.onnx"}
    assert (folder / "1" / "model.onnx").read_bytes() == b"newer"


def test_a_failed_copy_leaves_nothing_and_the_older_one_in_place(tmp_path: Path, graph: Path) -> None:
    repository = tmp_path / "repository"
    folder = materialise(repository, "one", graph)
    with pytest.raises(FatalError, match=r"^The model one could not be copied .*absent\.onnx"):
        materialise(repository, "one", tmp_path / "absent.onnx")
    assert [path.name for path in repository.iterdir()] == ["one"]
    assert (folder / "1" / "model.onnx").read_bytes() == b"graph"


def test_without_triton_both_sides_work_in_process(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, triton_url="in-process")
    assert isinstance(make_admin(settings), LocalAdmin)
    assert isinstance(make_scorer(settings), OnnxScorer)
