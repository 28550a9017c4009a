"""Export of the Keras network to ONNX, with a check that both return the same outputs."""

import contextlib
import io
import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
import onnx.numpy_helper
import onnxruntime
from numpy.typing import NDArray

from millrace.kernel.errors import FatalError
from millrace.model.backend import keras, ops
from millrace.model.network.config import NetworkConfig
from millrace.model.network.recommender import Recommender
from millrace.streams.scoring.scorer import CANDIDATES, HISTORY_TENSOR_LENGTH, ScoreRequest, ScoreResponse

Tensors = dict[str, NDArray[Any]]

# ONNX Runtime may add float32 terms in another order, which changes the sixth digit of the largest term.
_TOLERANCE = 1e-3
# (users, excluded items, filled share of the history): one user, an odd batch size, empty histories, long exclusions.
_CHECKED_SHAPES = ((1, 64, 1.0), (7, 256, 0.4), (3, 64, 0.0), (2, 4096, 1.0))
_OPSET = 17
_KEPT_GRAPHS = 4
_TIMED_THREADS = 2
_TIMED_CALLS = 20
_INTEGER_INPUTS = ("history", "candidates", "exclude")


@dataclass(frozen=True, slots=True)
class ExportTiming:
    """Median duration of one ONNX Runtime call with two threads.

    Args:
        one_ms: Milliseconds for one user.
        batch_ms: Milliseconds for a batch of 64 users.
    """

    one_ms: float
    batch_ms: float


class Exporter:
    """Writes networks as ONNX and reuses converted graphs.

    The conversion takes seconds and depends only on the sizes of the network. So the graph is converted once, with each
    weight as an input. Writing a network replaces these inputs by constants. The last few graphs are cached for the
    whole process; they are small because they contain no weights.
    """

    _graphs: ClassVar[dict[tuple[NetworkConfig, bool], onnx.ModelProto]] = {}

    def write(self, recommender: Recommender, path: Path) -> None:
        """Write a network as ONNX without checking its outputs.

        Args:
            recommender: Network with baked item vectors.
            path: File to write.
        """
        model = onnx.ModelProto()
        model.CopyFrom(self._graph_of(recommender))
        weights = {_weight_input(place): weight for place, weight in enumerate(recommender.variables)}
        inputs = list(model.graph.input)
        used = {name for node in model.graph.node for name in node.input}
        del model.graph.input[:]
        for entry in inputs:
            if entry.name not in weights:
                model.graph.input.append(entry)
            elif entry.name in used:
                array = np.asarray(weights[entry.name])
                model.graph.initializer.append(onnx.numpy_helper.from_array(array, entry.name))
        onnx.save(model, str(path))

    def _graph_of(self, recommender: Recommender) -> onnx.ModelProto:
        kind = recommender.config, recommender.ranker.perceptron
        if kind not in self._graphs:
            while len(self._graphs) >= _KEPT_GRAPHS:
                del self._graphs[next(iter(self._graphs))]
            self._graphs[kind] = _convert(recommender)
        return self._graphs[kind]


def export(recommender: Recommender, path: Path, seed: int = 0, exporter: Exporter | None = None) -> ExportTiming:
    """Write a network as ONNX, reload it and compare every output with Keras.

    Args:
        recommender: Network with baked item vectors.
        path: File to write.
        seed: Seed of the random requests on which the outputs are compared.
        exporter: Exporter to use; a new one by default.

    Returns:
        The duration of a call.

    Raises:
        FatalError: The file cannot be loaded, or its outputs differ from Keras; the file is removed.
    """
    said = io.StringIO()
    with contextlib.redirect_stdout(said), warnings.catch_warnings():
        # The converter accesses deprecated NumPy names.
        warnings.simplefilter("ignore")
        (exporter or Exporter()).write(recommender, path)
    try:
        session = _open(path, said.getvalue())
        _check(recommender, session, seed)
    except FatalError:
        path.unlink(missing_ok=True)
        raise
    return _time(recommender, session, seed)


def _weight_input(place: int) -> str:
    return f"weight_{place:03d}"


def _convert(recommender: Recommender) -> onnx.ModelProto:
    """Return the graph; its inputs are all `recommender.variables`, in order, followed by the request tensors."""
    import tensorflow as tf
    import tf2onnx

    model = _functional(recommender)
    model(random_request(recommender, 2, 64, 0.5, np.random.default_rng(0)))
    weights = recommender.variables
    place = {id(weight): number for number, weight in enumerate(weights)}
    trainable = [place[id(weight)] for weight in model.trainable_variables]
    fixed = [place[id(weight)] for weight in model.non_trainable_variables]
    names = [tensor.name for tensor in model.inputs]
    signature = [
        tf.TensorSpec(weight.shape, weight.dtype, name=_weight_input(number)) for number, weight in enumerate(weights)
    ] + [tf.TensorSpec(tensor.shape, tensor.dtype, name=tensor.name) for tensor in model.inputs]

    @tf.function  # type: ignore[untyped-decorator]
    def outputs(*tensors: Any) -> dict[str, Any]:
        given = tensors[len(weights) :]
        state = [tensors[number] for number in trainable], [tensors[number] for number in fixed]
        named, _ = model.stateless_call(*state, dict(zip(names, given, strict=True)))
        return {name: tf.identity(value, name=name) for name, value in named.items()}

    graph, _ = tf2onnx.convert.from_function(outputs, input_signature=signature, opset=_OPSET)
    return graph


def random_request(
    recommender: Recommender, users: int, excluded: int, filled: float, rng: np.random.Generator
) -> Tensors:
    """Return a request with random tensors of realistic ranges.

    Args:
        recommender: Network; the sizes are read from it.
        users: B, users in the batch.
        excluded: E, excluded items per user.
        filled: Share of the history slots that hold entries, 0 to 1.
        rng: Random generator.

    Returns:
        Input name -> tensor, as in `ScoreRequest`.
    """
    config = recommender.config
    empty = HISTORY_TENSOR_LENGTH - round(HISTORY_TENSOR_LENGTH * filled)
    history = rng.integers(1, config.items + 3, (users, HISTORY_TENSOR_LENGTH), dtype=np.int32)
    history[:, :empty] = 0
    there = history > 0
    # Odd multiples, because differences of powers of two lie on the borders of the time-gap buckets, where the two
    # runtimes may choose different buckets.
    age = np.sort(np.floor(np.exp(rng.uniform(0, 19, history.shape))) * 3 + 1, axis=1)[:, ::-1].astype(np.float32)
    request = ScoreRequest(
        history=history,
        history_value=np.where(there, rng.integers(1, 11, history.shape) / 2, 0).astype(np.float32),
        history_age=np.where(there, age, 0).astype(np.float32),
        candidates=_random_candidates(config.items, users, rng),
        features=rng.normal(0, 2, (users, CANDIDATES, config.features)).astype(np.float32),
        context=rng.normal(0, 1, (users, config.context)).astype(np.float32),
        exclude=rng.integers(0, config.items + 3, (users, excluded), dtype=np.int32),
    )
    return asdict(request)


def _random_candidates(items: int, users: int, rng: np.random.Generator) -> NDArray[np.int32]:
    """Return [B, C] int32 distinct items per user; some have indexes above `items`, and the last places are padding."""
    pool = np.zeros(max(CANDIDATES, items + 2), np.int32)
    pool[: items + 2] = np.arange(1, items + 3)
    candidates: NDArray[np.int32] = np.stack([rng.permutation(pool)[:CANDIDATES] for _ in range(users)])
    candidates[:, CANDIDATES - rng.integers(1, CANDIDATES // 2) :] = 0
    return candidates


def _functional(recommender: Recommender) -> Any:
    config = recommender.config
    shapes: Mapping[str, tuple[int | None, ...]] = {
        "history": (HISTORY_TENSOR_LENGTH,),
        "history_value": (HISTORY_TENSOR_LENGTH,),
        "history_age": (HISTORY_TENSOR_LENGTH,),
        "candidates": (None,),
        "features": (None, config.features),
        "context": (config.context,),
        "exclude": (None,),
    }
    inputs = {
        name: keras.Input(shape, dtype="int32" if name in _INTEGER_INPUTS else "float32", name=name)
        for name, shape in shapes.items()
    }
    return keras.Model(inputs, recommender(inputs), name="recommender")


def _open(path: Path, said: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _TIMED_THREADS
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # The exceptions of onnxruntime have no common base class.
        raise FatalError(
            f"The exported network {path} cannot be loaded: {error}. The converter said: {said}"
        ) from error
    for got, kind in ((session.get_inputs(), ScoreRequest), (session.get_outputs(), ScoreResponse)):
        names, wanted = {entry.name for entry in got}, {field.name for field in fields(kind)}
        if names != wanted:
            raise FatalError(f"The exported network has tensors {sorted(names)}; {sorted(wanted)} are needed.")
    return session


def run(session: onnxruntime.InferenceSession, request: Tensors) -> Tensors:
    """Run the session on a request.

    Args:
        session: Session of an exported network.
        request: Input name -> tensor.

    Returns:
        Output name -> tensor.
    """
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, request), strict=True))


def _check(recommender: Recommender, session: onnxruntime.InferenceSession, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for users, excluded, filled in _CHECKED_SHAPES:
        request = random_request(recommender, users, excluded, filled, rng)
        got = run(session, request)
        wanted = {name: np.asarray(value) for name, value in recommender(request).items()}
        for name, problem in _differences(recommender, request, got, wanted).items():
            raise FatalError(
                f"The exported network differs from Keras in {name} ({problem}) for {users} users with {excluded} "
                "excluded items; it must not be served."
            )


def _differences(recommender: Recommender, request: Tensors, got: Tensors, wanted: Tensors) -> dict[str, str]:
    """Return output name -> problem, empty if the outputs agree.

    Items, proposals and history positions may differ where the scores that selected them are equal.
    """
    problems = {
        name: f"shape {got[name].shape} instead of {wanted[name].shape}"
        for name in wanted
        if got[name].shape != wanted[name].shape
    }
    if problems:
        return problems
    places = _behind(recommender, request, got), _behind(recommender, request, wanted)
    same_items = got["items"] == wanted["items"]
    gaps = {
        "scores": _gap(got["scores"], wanted["scores"]),
        "predicted_ratings": _gap(got["predicted_ratings"], wanted["predicted_ratings"])[same_items],
        "items": _gap(places[0]["items"], places[1]["items"]),
        "because": _gap(places[0]["because"], places[1]["because"])[same_items],
        "proposals": _gap(places[0]["proposals"], places[1]["proposals"]),
    }
    return {name: f"by up to {gap.max():.3g}" for name, gap in gaps.items() if gap.size and not gap.max() <= _TOLERANCE}


def _gap(got: NDArray[Any], wanted: NDArray[Any]) -> NDArray[Any]:
    """Return the differences: absolute where `wanted` is at most 1 in size, relative elsewhere."""
    gap: NDArray[Any] = np.abs(got - wanted) / np.maximum(1.0, np.abs(wanted))
    return gap


def _behind(recommender: Recommender, request: Tensors, outputs: Tensors) -> Tensors:
    """Return the values by which each item, proposal and history position was selected, computed by Keras."""
    hidden = recommender.hidden(request)
    logits = recommender.logits(hidden)
    masked = np.asarray(recommender.masked_logits(logits, request["exclude"]))
    log_prob = recommender.log_probabilities(logits, request["candidates"])
    ranked = recommender.ranker(request["features"], log_prob, request["context"], request["candidates"])
    rows = np.where(outputs["items"] > recommender.config.items, 0, outputs["items"])
    vectors = ops.take(recommender.vectors, rows, axis=0)
    similarity = np.asarray(recommender.similarities(request["history"], vectors))
    because = np.take_along_axis(similarity, np.maximum(outputs["because"], 0)[..., None], -1)[..., 0]
    return {
        "items": _scores_of(outputs["items"], request["candidates"], np.asarray(ranked)),
        "proposals": np.take_along_axis(masked, outputs["proposals"], axis=1),
        "because": np.where(outputs["because"] < 0, 0.0, because),
    }


def _scores_of(items: NDArray[Any], candidates: NDArray[Any], scores: NDArray[Any]) -> NDArray[np.float32]:
    """Return the score of each listed item; NaN for an item that is not a candidate, so that the comparison fails."""
    out = np.full(items.shape, np.nan, np.float32)
    for user in range(len(items)):
        known = dict(zip(candidates[user].tolist(), scores[user].tolist(), strict=True)) | {0: 0.0}
        out[user] = [known.get(item, np.nan) for item in items[user].tolist()]
    return out


def _time(recommender: Recommender, session: onnxruntime.InferenceSession, seed: int) -> ExportTiming:
    rng = np.random.default_rng(seed)
    one, batch = (_median_ms(session, random_request(recommender, users, 256, 1.0, rng)) for users in (1, 64))
    return ExportTiming(one_ms=one, batch_ms=batch)


def _median_ms(session: onnxruntime.InferenceSession, request: Tensors) -> float:
    seconds = []
    for _ in range(_TIMED_CALLS):
        began = time.perf_counter()
        run(session, request)
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds)) * 1000
