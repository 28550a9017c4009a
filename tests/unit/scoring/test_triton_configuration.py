"""Triton's configuration files name the tensors of the scoring protocol."""

import dataclasses
import typing

import numpy as np
import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from millrace.model.triton_admin import STATIC_FILES, TEMPLATE_DIR
from millrace.streams.scoring.scorer import ScoreRequest, ScoreResponse

TYPES = {np.int32: pb.TYPE_INT32, np.float32: pb.TYPE_FP32}
# Axes beside the batch, from the docstring of ScoreRequest.
AXES = {"features": 2}


def expected(kind: type) -> dict[str, tuple[int, int]]:
    hints = typing.get_type_hints(kind)
    return {
        field.name: (TYPES[typing.get_args(typing.get_args(hints[field.name])[1])[0]], AXES.get(field.name, 1))
        for field in dataclasses.fields(kind)
    }


def test_only_the_one_for_a_gpu_asks_for_one() -> None:
    kinds = {}
    for backend, files in STATIC_FILES.items():
        (file,) = (source for source, copy in files.items() if copy == "config.pbtxt")
        config = text_format.Parse((TEMPLATE_DIR / file).read_text(), pb.ModelConfig())
        (group,) = config.instance_group
        accelerators = config.optimization.execution_accelerators.gpu_execution_accelerator
        kinds[backend] = (group.kind, [one.name for one in accelerators])
    kind = pb.ModelInstanceGroup
    assert kinds == {
        "python": (kind.KIND_CPU, []),
        "onnxruntime": (kind.KIND_GPU, ["tensorrt"]),
        "onnxruntime-cpu": (kind.KIND_CPU, []),
    }


@pytest.mark.parametrize("backend", STATIC_FILES)
def test_tensors_are_those_of_the_protocol(backend: str) -> None:
    (file,) = (source for source, copy in STATIC_FILES[backend].items() if copy == "config.pbtxt")
    config = text_format.Parse((TEMPLATE_DIR / file).read_text(), pb.ModelConfig())
    assert config.backend == backend.removesuffix("-cpu")
    assert {one.name: (one.data_type, len(one.dims)) for one in config.input} == expected(ScoreRequest)
    assert {one.name: (one.data_type, len(one.dims)) for one in config.output} == expected(ScoreResponse)
    assert config.max_batch_size == 1024
    assert config.HasField("dynamic_batching")
    assert config.dynamic_batching.max_queue_delay_microseconds <= 500
