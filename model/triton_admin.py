"""Loading and unloading of model versions, on Triton or inside the workers.

Each version is a Triton model with its own name, so a live model is never reloaded. The new model is loaded and warmed
up beside the old one, the workers switch to it, and the old one is unloaded when no worker uses it any more.
"""

import os
import shutil
import time
import uuid
from pathlib import Path
from typing import Any, Protocol

from millrace.kernel.errors import FatalError, TransientError
from millrace.kernel.settings import Settings
from millrace.streams.scoring.in_process import IN_PROCESS

TEMPLATE_DIR = Path(__file__).parent.parent / "triton_repo" / "recommender"
# Triton backend -> the static files of a model: name in the template folder -> name in the model's folder.
STATIC_FILES = {
    "python": {"config.pbtxt": "config.pbtxt", "1/model.py": "1/model.py"},
    "onnxruntime": {"config.onnxruntime.pbtxt": "config.pbtxt"},
    "onnxruntime-cpu": {"config.onnxruntime-cpu.pbtxt": "config.pbtxt"},
}
# Loading starts a process, reads the graph and runs it at several batch sizes, which takes about 1 s on two cores.
LOAD_TIMEOUT_S = 60.0
CALL_TIMEOUT_S = 5.0
POLL_S = 0.02


class ModelServer(Protocol):
    """The interface through which the retrainer controls a model server."""

    def deploy(self, name: str, onnx_path: Path) -> None:
        """Load a model so that it answers under a name.

        Args:
            name: Name of the model.
            onnx_path: ONNX file of the model.

        Raises:
            FatalError: The model cannot be served; its files have been removed.
            TransientError: The server cannot be reached.
        """
        ...

    def unload(self, name: str) -> None:
        """Stop serving a model and remove its files; do nothing if there is no such model."""
        ...

    def loaded(self) -> list[str]:
        """Return the names of the models that are ready, sorted."""
        ...

    def close(self) -> None:
        """Close the connection to the server."""
        ...


def materialise(repository_dir: Path, name: str, onnx_path: Path, backend: str = "python") -> Path:
    """Copy a model and its Triton configuration into a repository atomically.

    Args:
        repository_dir: Triton's model repository.
        name: Name of the model and of its folder; an existing folder is replaced.
        onnx_path: ONNX file of the model.
        backend: Triton backend that runs the model: `python`, `onnxruntime` or `onnxruntime-cpu`.

    Returns:
        The model's folder.

    Raises:
        FatalError: The files cannot be read or written.
    """
    target = repository_dir / name
    # In the repository, so that the rename stays on one file system; the leading dot hides it from the list of models.
    building = repository_dir / f".{name}-{uuid.uuid4().hex}"
    try:
        (building / "1").mkdir(parents=True)
        for source, copy in STATIC_FILES[backend].items():
            shutil.copyfile(TEMPLATE_DIR / source, building / copy)
        shutil.copyfile(onnx_path, building / "1" / "model.onnx")
        shutil.rmtree(target, ignore_errors=True)
        os.rename(building, target)
    except OSError as error:
        shutil.rmtree(building, ignore_errors=True)
        raise FatalError(
            f"The model {name} could not be copied into {repository_dir}: {error.strerror} ({error.filename})."
        ) from None
    return target


class TritonAdmin:
    """Loads and unloads models on a Triton server that runs in explicit model control mode.

    Args:
        url: Triton's gRPC address, `host:port`.
        repository_dir: Triton's model repository, as a path on this machine.
        backend: Triton backend that runs the models: `python`, `onnxruntime` or `onnxruntime-cpu`.
    """

    def __init__(self, url: str, repository_dir: Path, backend: str = "python") -> None:
        import tritonclient.grpc as triton

        self._url = url
        self._repository_dir = repository_dir
        self._backend = backend
        self._client: Any = triton.InferenceServerClient(url)

    def deploy(self, name: str, onnx_path: Path) -> None:
        """Copy a model into the repository, load it and wait until it has warmed up.

        Args:
            name: Name of the model.
            onnx_path: ONNX file of the model.

        Raises:
            FatalError: Triton rejects the model; the message contains Triton's reason, and the files are removed.
            TransientError: Triton cannot be reached; the files are removed.
        """
        self.materialise(name, onnx_path)
        try:
            self.load(name)
            self.wait_ready(name)
        except (FatalError, TransientError):
            shutil.rmtree(self._repository_dir / name, ignore_errors=True)
            raise

    def materialise(self, name: str, onnx_path: Path) -> Path:
        """Copy a model and its Triton configuration into the repository atomically.

        Args:
            name: Name of the model and of its folder.
            onnx_path: ONNX file of the model.

        Returns:
            The model's folder.

        Raises:
            FatalError: The files cannot be read or written.
        """
        return materialise(self._repository_dir, name, onnx_path, self._backend)

    def load(self, name: str) -> None:
        """Load a model that is in the repository and wait until it has warmed up.

        Raises:
            FatalError: Triton rejects the model.
            TransientError: Triton cannot be reached or did not answer in time.
        """
        self._call(f"load {name}", "load_model", name, client_timeout=LOAD_TIMEOUT_S)

    def wait_ready(self, name: str, timeout_s: float = CALL_TIMEOUT_S) -> None:
        """Wait until a loaded model is ready.

        Args:
            name: Name of the model.
            timeout_s: Longest wait, in seconds.

        Raises:
            TransientError: The model is not ready in time, or Triton cannot be reached.
        """
        deadline = time.monotonic() + timeout_s
        while not self._call(f"ask for {name}", "is_model_ready", name, client_timeout=CALL_TIMEOUT_S):
            if time.monotonic() > deadline:
                raise TransientError(f"Triton at {self._url} has not made {name} ready within {timeout_s:g} s.")
            time.sleep(POLL_S)

    def unload(self, name: str) -> None:
        """Stop serving a model and remove its files; requests in progress are answered first.

        Raises:
            FatalError: Triton rejects the call.
            TransientError: Triton cannot be reached.
        """
        self._call(f"unload {name}", "unload_model", name, client_timeout=CALL_TIMEOUT_S)
        shutil.rmtree(self._repository_dir / name, ignore_errors=True)

    def loaded(self) -> list[str]:
        """Return the names of the models that are ready, sorted.

        Raises:
            FatalError: Triton rejects the call.
            TransientError: Triton cannot be reached.
        """
        index = self._call("list models", "get_model_repository_index", client_timeout=CALL_TIMEOUT_S)
        return sorted(model.name for model in index.models if model.state == "READY")

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _call(self, what: str, method: str, *arguments: Any, **options: Any) -> Any:
        """Call a method of the Triton client and turn its exceptions into one-sentence Millrace errors."""
        from tritonclient.utils import InferenceServerException

        try:
            return getattr(self._client, method)(*arguments, **options)
        except InferenceServerException as error:
            reason = " ".join(str(error.message()).split()).rstrip(".")
            text = f"Triton at {self._url} could not {what}: {reason}."
            kind = TransientError if _is_transient(str(error.status())) else FatalError
            raise kind(text) from None


class LocalAdmin:
    """Deploys models that run inside the workers, which load them from the repository by name.

    Args:
        repository_dir: Folder from which the workers load models.
    """

    def __init__(self, repository_dir: Path) -> None:
        self._repository_dir = repository_dir

    def deploy(self, name: str, onnx_path: Path) -> None:
        """Check that ONNX Runtime loads a model, then copy it into the repository.

        Args:
            name: Name of the model.
            onnx_path: ONNX file of the model.

        Raises:
            FatalError: ONNX Runtime rejects the model, or it cannot be copied.
        """
        import onnxruntime

        try:
            onnxruntime.InferenceSession(str(onnx_path), providers=["CPUExecutionProvider"])
        except Exception as error:
            # The exceptions of onnxruntime have no common base class.
            raise FatalError(f"The model {name} cannot be loaded: {' '.join(str(error).split())}") from None
        materialise(self._repository_dir, name, onnx_path)

    def unload(self, name: str) -> None:
        """Remove a model's files; workers that have loaded it keep it in memory."""
        shutil.rmtree(self._repository_dir / name, ignore_errors=True)

    def loaded(self) -> list[str]:
        """Return the names of the models in the repository, sorted."""
        return sorted(path.parent.parent.name for path in self._repository_dir.glob("[!.]*/1/model.onnx"))

    def close(self) -> None:
        """Do nothing, as there is no connection."""


def make_admin(settings: Settings) -> ModelServer:
    """Return the model server that the settings select: Triton, or the workers themselves."""
    if settings.triton_url == IN_PROCESS:
        return LocalAdmin(settings.triton_repository_dir)
    return TritonAdmin(settings.triton_url, settings.triton_repository_dir, settings.triton_backend)


def _is_transient(status: str) -> bool:
    """Return whether a gRPC status means that the server is unreachable or slow, rather than that it refused."""
    return any(code in status for code in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"))
