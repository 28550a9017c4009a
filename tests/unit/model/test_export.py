"""Export to ONNX: equal outputs, and no file when they are not."""

import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from google.protobuf import text_format
from numpy.typing import NDArray
from tritonclient.grpc import model_config_pb2 as pb

from millrace.kernel.errors import FatalError
from millrace.model import onnx_export as exporting
from millrace.model.learning.growth import frozen, thawed
from millrace.model.network.recommender import Recommender
from millrace.model.onnx_export import Exporter, Tensors, export, random_request, run
from millrace.model.triton_admin import TEMPLATE_DIR
from tests.unit.model.small import ITEMS, small_recommender

DTYPES = {pb.TYPE_INT32: "tensor(int32)", pb.TYPE_FP32: "tensor(float)"}


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    return small_recommender()


@pytest.fixture(scope="module")
def session(recommender: Recommender, tmp_path_factory: pytest.TempPathFactory) -> onnxruntime.InferenceSession:
    path = tmp_path_factory.mktemp("export") / "model.onnx"
    timing = export(recommender, path)
    assert timing.one_ms > 0
    assert timing.batch_ms > 0
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def differ_without_tie(
    got: NDArray[np.int32], wanted: NDArray[np.int32], scores: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Return the places [B, K] whose items differ although no neighbour in the ranking has nearly the same score."""
    with np.errstate(invalid="ignore"):
        close = np.abs(np.diff(scores, axis=1)) < 1e-3
    edge = np.zeros((len(scores), 1), np.bool_)
    tied = np.concatenate([edge, close], axis=1) | np.concatenate([close, edge], axis=1)
    return np.asarray((got != wanted) & ~tied)


@pytest.mark.parametrize(("users", "excluded", "filled"), [(1, 64, 1.0), (3, 256, 0.0), (9, 1024, 0.3)])
def test_onnx_says_what_keras_says(
    recommender: Recommender, session: onnxruntime.InferenceSession, users: int, excluded: int, filled: float
) -> None:
    request = random_request(recommender, users, excluded, filled, np.random.default_rng(users))
    got = run(session, request)
    wanted: Tensors = {name: np.asarray(value) for name, value in recommender(request).items()}
    assert got.keys() == wanted.keys()
    np.testing.assert_allclose(got["scores"], wanted["scores"], atol=1e-3)
    np.testing.assert_allclose(got["predicted_ratings"], wanted["predicted_ratings"], atol=1e-3)
    assert not (differ_without_tie(got["items"], wanted["items"], wanted["scores"])).any()
    assert (got["proposals"] == wanted["proposals"]).mean() > 0.99
    assert all(got[name].dtype == np.int32 for name in ("items", "because", "proposals"))


def test_tritons_onnxruntime_configurations_fit_the_graph(session: onnxruntime.InferenceSession) -> None:
    for name in ("config.onnxruntime.pbtxt", "config.onnxruntime-cpu.pbtxt"):
        config = text_format.Parse((TEMPLATE_DIR / name).read_text(), pb.ModelConfig())
        for tensors, nodes in ((config.input, session.get_inputs()), (config.output, session.get_outputs())):
            # Triton adds the axis of the batch itself, so the graph's first axis must be free as the others are.
            told = {one.name: (DTYPES[one.data_type], [None, *([None] * len(one.dims))]) for one in tensors}
            graph = {node.name: (node.type, [_free(axis) for axis in node.shape]) for node in nodes}
            assert told.keys() == graph.keys()
            for tensor, (dtype, axes) in told.items():
                assert graph[tensor][0] == dtype
                assert len(graph[tensor][1]) == len(axes)
                assert graph[tensor][1][0] is None


def _free(axis: str | int | None) -> int | None:
    return axis if isinstance(axis, int) else None


def test_a_network_that_changed_since_is_told_apart(
    recommender: Recommender, session: onnxruntime.InferenceSession
) -> None:
    other = small_recommender(seed=4)
    with pytest.raises(FatalError, match="differs from Keras in"):
        exporting._check(other, session, seed=0)


def test_a_graph_serves_other_networks_of_the_same_sizes(
    session: onnxruntime.InferenceSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def converted(*_: object) -> None:
        raise AssertionError("converted again")

    monkeypatch.setattr(exporting, "_convert", converted)
    export(small_recommender(seed=4), tmp_path / "model.onnx")


def test_an_export_that_differs_leaves_no_file(
    recommender: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.onnx"
    monkeypatch.setattr(exporting, "_TOLERANCE", -1.0)
    with pytest.raises(FatalError, match="must not be served"):
        export(recommender, path)
    assert not path.exists()


def test_a_restored_network_is_written_without_a_word_of_keras(tmp_path: Path) -> None:
    restored = thawed(frozen(small_recommender(items=ITEMS + 1)))  # of a size that no other test has had converted
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        Exporter().write(restored, tmp_path / "model.onnx")
    assert not [str(each.message) for each in said if "build()" in str(each.message)]
