"""Runs the ONNX graph beside this file inside Triton's Python backend."""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils

# Batch sizes run once before the model counts as ready: the first run of a shape allocates its buffers.
WARM_UP_BATCHES = (1, 8, 64)
# Length given to an axis that the graph leaves open; `exclude` is the only one, and this its most frequent length.
OPEN_AXIS = 64
DTYPES = {"tensor(int32)": np.int32, "tensor(float)": np.float32}


class TritonPythonModel:
    """One version of the recommender."""

    def initialize(self, args):
        """Load the graph and run it at typical shapes."""
        if not np.__version__.startswith("1."):
            raise pb_utils.TritonModelException(f"numpy {np.__version__} garbles tensors here; install numpy 1.26.4")
        parameters = json.loads(args["model_config"])["parameters"]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(parameters["intra_op_threads"]["string_value"])
        options.inter_op_num_threads = 1
        # A waiting thread that spins would take a core from the workers.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        path = Path(__file__).with_name("model.onnx")
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.inputs = [tensor.name for tensor in self.session.get_inputs()]
        self.outputs = [tensor.name for tensor in self.session.get_outputs()]
        for batch in WARM_UP_BATCHES:
            self.session.run(self.outputs, self.zeros(batch))

    def zeros(self, batch):
        """Return inputs of users without history and candidates."""
        return {
            tensor.name: np.zeros(
                [batch, *(axis if isinstance(axis, int) else OPEN_AXIS for axis in tensor.shape[1:])],
                DTYPES[tensor.type],
            )
            for tensor in self.session.get_inputs()
        }

    def execute(self, requests):
        """Answer the requests Triton collected; those of equal shapes are one run."""
        responses = [None] * len(requests)
        groups = defaultdict(list)
        for position, request in enumerate(requests):
            feed = {name: pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in self.inputs}
            groups[tuple(tensor.shape[1:] for tensor in feed.values())].append((position, feed))
        for group in groups.values():
            for (position, _), response in zip(group, self.answer([feed for _, feed in group]), strict=True):
                responses[position] = response
        return responses

    def answer(self, feeds):
        """Run feeds of equal shapes together, and one by one if that fails, so that each fails for itself."""
        try:
            return self.run(feeds)
        except Exception as error:
            if len(feeds) > 1:
                return [self.answer([feed])[0] for feed in feeds]
            return [pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error)))]

    def run(self, feeds):
        """Run the joined feeds and cut the results apart again."""
        joined = (
            feeds[0]
            if len(feeds) == 1
            else {name: np.concatenate([feed[name] for feed in feeds]) for name in self.inputs}
        )
        results = self.session.run(self.outputs, joined)
        ends = np.cumsum([len(feed[self.inputs[0]]) for feed in feeds])
        return [
            pb_utils.InferenceResponse(
                [
                    pb_utils.Tensor(name, np.ascontiguousarray(result[end - len(feed[self.inputs[0]]) : end]))
                    for name, result in zip(self.outputs, results, strict=True)
                ]
            )
            for feed, end in zip(feeds, ends, strict=True)
        ]
