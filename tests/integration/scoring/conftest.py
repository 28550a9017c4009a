"""A small graph with the tensors of a real version, whose every output value follows from one input value."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from millrace.streams.scoring.scorer import ScoreRequest, ScoreResponse

HISTORY, CANDIDATES, FEATURES, CONTEXT, RANKED = 50, 256, 24, 8, 40
# `proposals` looks `exclude` up in a table of this many rows; a larger index makes a run fail.
TABLE_ROWS = 5000


def table(shift: float) -> NDArray[np.int32]:
    """Return distinct values by row."""
    return (np.arange(TABLE_ROWS, dtype=np.int32) * 7 + int(shift)).astype(np.int32)


def build(path: Path, shift: float = 0.0) -> Path:
    """Write the graph; `shift` tells two versions apart."""

    def info(name: str, kind: int, *axes: Any) -> Any:
        return helper.make_tensor_value_info(name, kind, ["batch", *axes])

    constants = {
        "zero": np.array([0], np.int64),
        "ranked": np.array([RANKED], np.int64),
        "axis1": np.array([1], np.int64),
        "shift": np.array(shift, np.float32),
        "table": table(shift),
        "axis2": np.array([2], np.int64),
    }
    nodes = [
        helper.make_node("Slice", ["candidates", "zero", "ranked", "axis1"], ["items"]),
        helper.make_node("ReduceSum", ["features", "axis2"], ["feature_sum"], keepdims=0),
        helper.make_node("Slice", ["feature_sum", "zero", "ranked", "axis1"], ["feature_cut"]),
        helper.make_node("ReduceSum", ["context", "axis1"], ["context_sum"], keepdims=1),
        helper.make_node("Add", ["feature_cut", "context_sum"], ["score_raw"]),
        helper.make_node("Add", ["score_raw", "shift"], ["scores"]),
        helper.make_node("Add", ["history_value", "history_age"], ["rating_raw"]),
        helper.make_node("Slice", ["rating_raw", "zero", "ranked", "axis1"], ["predicted_ratings"]),
        helper.make_node("Slice", ["history", "zero", "ranked", "axis1"], ["because"]),
        helper.make_node("Gather", ["table", "exclude"], ["proposals"], axis=0),
    ]
    inputs = [
        info("history", TensorProto.INT32, HISTORY),
        info("history_value", TensorProto.FLOAT, HISTORY),
        info("history_age", TensorProto.FLOAT, HISTORY),
        info("candidates", TensorProto.INT32, CANDIDATES),
        info("features", TensorProto.FLOAT, CANDIDATES, FEATURES),
        info("context", TensorProto.FLOAT, CONTEXT),
        info("exclude", TensorProto.INT32, "excluded"),
    ]
    outputs = [
        info("items", TensorProto.INT32, RANKED),
        info("scores", TensorProto.FLOAT, RANKED),
        info("predicted_ratings", TensorProto.FLOAT, RANKED),
        info("because", TensorProto.INT32, RANKED),
        info("proposals", TensorProto.INT32, "excluded"),
    ]
    graph = helper.make_graph(
        nodes, "toy", inputs, outputs, [numpy_helper.from_array(value, name) for name, value in constants.items()]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def request(batch: int, excluded: int = 64, seed: int = 0) -> ScoreRequest:
    """Return a request in which no two values of a tensor are the same."""
    rng = np.random.default_rng(seed)

    def distinct(*shape: int) -> NDArray[np.int32]:
        return (rng.permutation(int(np.prod(shape))).reshape(shape) + 1).astype(np.int32)

    return ScoreRequest(
        history=distinct(batch, HISTORY),
        history_value=distinct(batch, HISTORY).astype(np.float32),
        history_age=distinct(batch, HISTORY).astype(np.float32) / 7,
        candidates=distinct(batch, CANDIDATES),
        features=distinct(batch, CANDIDATES, FEATURES).astype(np.float32) / 1000,
        context=distinct(batch, CONTEXT).astype(np.float32),
        exclude=(distinct(batch, excluded) % TABLE_ROWS).astype(np.int32),
    )


def check(asked: ScoreRequest, answer: ScoreResponse, shift: float = 0.0) -> None:
    """Recompute every output with NumPy alone."""
    np.testing.assert_array_equal(answer.items, asked.candidates[:, :RANKED])
    scores = asked.features.sum(axis=2)[:, :RANKED] + asked.context.sum(axis=1, keepdims=True) + shift
    np.testing.assert_allclose(answer.scores, scores, rtol=1e-5)
    np.testing.assert_allclose(
        answer.predicted_ratings, (asked.history_value + asked.history_age)[:, :RANKED], rtol=1e-6
    )
    np.testing.assert_array_equal(answer.because, asked.history[:, :RANKED])
    np.testing.assert_array_equal(answer.proposals, table(shift)[asked.exclude])


class Toy:
    """The graph, its requests and their expected answers."""

    build = staticmethod(build)
    request = staticmethod(request)
    check = staticmethod(check)
    table_rows = TABLE_ROWS


@pytest.fixture(scope="session")
def toy() -> type[Toy]:
    """Return the helpers around the small graph."""
    return Toy


@pytest.fixture
def toy_graph(tmp_path: Path) -> Callable[[float], Path]:
    """Return a function that writes the graph with a given shift."""
    return lambda shift: build(tmp_path / f"toy-{shift:g}.onnx", shift)
