"""The scorer that runs ONNX graphs in this process: where Triton cannot run, and for checks of a training run."""

import asyncio
import dataclasses
from pathlib import Path

import onnxruntime

from millrace.kernel.errors import TransientError
from millrace.streams.scoring.scorer import ScoreRequest, ScoreResponse

OUTPUTS = tuple(field.name for field in dataclasses.fields(ScoreResponse))


class OnnxScorer:
    """Scores micro-batches with onnxruntime.

    Args:
        repository_dir: A Triton model repository; the model NAME is read from NAME/1/model.onnx on first use.
        paths: Model files by name, in addition to those of the repository.
        threads: Threads of one run.
    """

    def __init__(
        self, repository_dir: Path | None = None, paths: dict[str, Path] | None = None, threads: int = 1
    ) -> None:
        self._repository_dir = repository_dir
        self._paths = dict(paths or {})
        self._threads = threads
        self._sessions: dict[str, onnxruntime.InferenceSession] = {}

    async def score(self, version: str, request: ScoreRequest, timeout_s: float) -> ScoreResponse:
        """Score one batch off the event loop.

        Raises:
            TransientError: No answer in time, or no usable model of that name.
        """
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.to_thread(self.score_now, version, request)
        except TimeoutError:
            raise TransientError(f"The model {version} gave no answer in {timeout_s:g} s.") from None

    def score_now(self, version: str, request: ScoreRequest) -> ScoreResponse:
        """Score one batch in the calling thread.

        Raises:
            TransientError: No usable model of that name, or it refuses the request.
        """
        session = self._sessions.get(version) or self.load(version)
        # Not dataclasses.asdict, which would copy every tensor.
        feed = {tensor.name: getattr(request, tensor.name) for tensor in session.get_inputs()}
        try:
            results = session.run(OUTPUTS, feed)
        except Exception as error:
            # onnxruntime raises a class of its own per status code, without a common base.
            raise TransientError(f"The model {version} refused the request: {' '.join(str(error).split())}") from error
        return ScoreResponse(*results)

    def load(self, version: str) -> onnxruntime.InferenceSession:
        """Read a model now, not at its first request: its file may go away afterwards.

        Raises:
            TransientError: No usable model of that name.
        """
        path = self._path(version)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise TransientError(f"The model {version} cannot be loaded from {path}: {error}") from error
        self._sessions[version] = session
        return session

    def _path(self, version: str) -> Path:
        if version in self._paths:
            return self._paths[version]
        if self._repository_dir is None:
            raise TransientError(f"There is no model {version}; known are {', '.join(sorted(self._paths)) or 'none'}.")
        return self._repository_dir / version / "1" / "model.onnx"

    async def close(self) -> None:
        """Forget the loaded models."""
        self._sessions.clear()
