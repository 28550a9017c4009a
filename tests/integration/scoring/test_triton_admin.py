"""Models come and go in Triton, and a bad one leaves nothing behind."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from millrace.kernel.errors import FatalError, TransientError
from millrace.model.triton_admin import LocalAdmin, ModelServer, TritonAdmin

pytestmark = pytest.mark.services


@pytest.fixture(params=["triton", "in-process"])
def admin_and_repository(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[ModelServer, Path]]:
    if request.param == "in-process":
        yield LocalAdmin(tmp_path / "repository"), tmp_path / "repository"
        return
    url, repository = request.getfixturevalue("triton_server")
    admin = TritonAdmin(url, repository)
    yield admin, repository
    admin.close()


def test_deploy_and_unload(admin_and_repository: tuple[ModelServer, Path], toy_graph: Callable[[float], Path]) -> None:
    admin, repository = admin_and_repository
    name = f"recommender_{uuid.uuid4().hex[:8]}"
    admin.deploy(name, toy_graph(0.0))
    assert name in admin.loaded()
    files = {str(path.relative_to(repository / name)) for path in (repository / name).rglob("*.*") if path.is_file()}
    assert {name for name in files if "__pycache__" not in name} == {"config.pbtxt", "1/model.py", "1/model.onnx"}
    admin.unload(name)
    assert name not in admin.loaded()
    assert not (repository / name).exists()
    admin.unload(name)


def test_deploying_twice_replaces(
    admin_and_repository: tuple[ModelServer, Path], toy_graph: Callable[[float], Path]
) -> None:
    admin, _ = admin_and_repository
    name = f"recommender_{uuid.uuid4().hex[:8]}"
    admin.deploy(name, toy_graph(0.0))
    admin.deploy(name, toy_graph(1.0))
    assert admin.loaded().count(name) == 1
    admin.unload(name)


def test_a_broken_graph_is_refused_and_leaves_nothing(
    admin_and_repository: tuple[ModelServer, Path], tmp_path: Path, toy_graph: Callable[[float], Path]
) -> None:
    admin, repository = admin_and_repository
    good, bad = (f"recommender_{uuid.uuid4().hex[:8]}" for _ in range(2))
    admin.deploy(good, toy_graph(0.0))
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no graph")
    with pytest.raises(FatalError, match=r"(?i)protobuf") as caught:
        admin.deploy(bad, broken)
    assert "\n" not in str(caught.value)
    assert admin.loaded() == [good]
    assert [path.name for path in repository.iterdir()] == [good]
    admin.unload(good)


def test_a_missing_graph_is_named(admin_and_repository: tuple[ModelServer, Path], tmp_path: Path) -> None:
    admin, _ = admin_and_repository
    with pytest.raises(FatalError, match=r"nothing\.onnx"):
        admin.deploy("recommender_v000001", tmp_path / "nothing.onnx")
    assert admin.loaded() == []


def test_a_server_that_is_away_is_transient(tmp_path: Path, toy_graph: Callable[[float], Path]) -> None:
    admin: Any = TritonAdmin("127.0.0.1:1", tmp_path / "repository")
    with pytest.raises(TransientError, match="127.0.0.1:1"):
        admin.deploy("recommender_v000001", toy_graph(0.0))
    assert list((tmp_path / "repository").iterdir()) == []
    admin.close()
