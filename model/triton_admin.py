"""Puts model versions into Triton's repository, loads them, and takes them out again.

Every version is a Triton model of its own name, so a live model is never reloaded: the new one is loaded and warmed up
beside the old one, workers are pointed to it, and the old one is unloaded when nobody asks for it any more.
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
# By Triton backend: the static files of a version, and what they are called beside the graph.
STATIC_FILES = {
    "python": {"config.pbtxt": "config.pbtxt", "1/model.py": "1/model.py"},
    "onnxruntime": {"config.onnxruntime.pbtxt": "config.pbtxt"},
    "onnxruntime-cpu": {"config.onnxruntime-cpu.pbtxt": "config.pbtxt"},
}
# Loading starts a process, reads the graph and runs it at several batch sizes: about 1 s on two cores.
LOAD_TIMEOUT_S = 60.0
CALL_TIMEOUT_S = 5.0
POLL_S = 0.02


class ModelServer(Protocol):
    """What the retrainer needs of whatever serves models."""

    def deploy(self, name: str, onnx_path: Path) -> None:
        """Make a model ready to answer under this name.

        Raises:
            FatalError: It cannot serve; nothing of it is left.
            TransientError: The server is away.
        """
        ...

    def unload(self, name: str) -> None:
        """Stop serving a model and remove its files; does nothing if there is none."""
        ...

    def loaded(self) -> list[str]:
        """Return the names of the models that are ready, sorted."""
        ...

    def close(self) -> None:
        """Release the connection."""
        ...


def materialise(repository_dir: Path, name: str, onnx_path: Path, backend: str = "python") -> Path:
    """Copy a model with its configuration into a repository, all of it or nothing.

    Args:
        repository_dir: Triton's model repository.
        name: Name of the model; also of its folder.
        onnx_path: The exported graph.
        backend: The Triton backend that is to run it, `python` or `onnxruntime`.

    Returns:
        The model's folder.

    Raises:
        FatalError: The files cannot be read or written.
    """
    target = repository_dir / name
    # A name with a leading dot in the same folder: the rename stays on one disk, and Triton asks for names only.
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
    """Loads and unloads models on a running Triton with explicit model control.

    Args:
        url: Triton's gRPC address, `host:port`.
        repository_dir: The folder Triton reads models from, as seen from here.
        backend: The Triton backend that runs the models, `python` or `onnxruntime`.
    """

    def __init__(self, url: str, repository_dir: Path, backend: str = "python") -> None:
        import tritonclient.grpc as triton

        self._url = url
        self._repository_dir = repository_dir
        self._backend = backend
        self._client: Any = triton.InferenceServerClient(url)

    def deploy(self, name: str, onnx_path: Path) -> None:
        """Copy a model into the repository, load it and wait until it has warmed up.

        Raises:
            FatalError: Triton refuses the model; the text carries its reason, and nothing of the model is left.
            TransientError: Triton is away.
        """
        self.materialise(name, onnx_path)
        try:
            self.load(name)
            self.wait_ready(name)
        except (FatalError, TransientError):
            shutil.rmtree(self._repository_dir / name, ignore_errors=True)
            raise

    def materialise(self, name: str, onnx_path: Path) -> Path:
        """Copy a model with its configuration into the repository, all of it or nothing; return its folder.

        Raises:
            FatalError: The files cannot be read or written.
        """
        return materialise(self._repository_dir, name, onnx_path, self._backend)

    def load(self, name: str) -> None:
        """Load a model that is in the repository; returns once it has warmed up.

        Raises:
            FatalError: Triton refuses the model.
            TransientError: Triton is away or did not answer in time.
        """
        self._call(f"load {name}", "load_model", name, client_timeout=LOAD_TIMEOUT_S)

    def wait_ready(self, name: str, timeout_s: float = CALL_TIMEOUT_S) -> None:
        """Wait until a loaded model answers.

        Raises:
            TransientError: It does not in time.
        """
        deadline = time.monotonic() + timeout_s
        while not self._call(f"ask for {name}", "is_model_ready", name, client_timeout=CALL_TIMEOUT_S):
            if time.monotonic() > deadline:
                raise TransientError(f"Triton at {self._url} has not made {name} ready within {timeout_s:g} s.")
            time.sleep(POLL_S)

    def unload(self, name: str) -> None:
        """Stop serving a model and remove its files; requests it is working on are answered first.

        Raises:
            TransientError: Triton is away.
        """
        self._call(f"unload {name}", "unload_model", name, client_timeout=CALL_TIMEOUT_S)
        shutil.rmtree(self._repository_dir / name, ignore_errors=True)

    def loaded(self) -> list[str]:
        """Return the names of the models that are ready, sorted.

        Raises:
            TransientError: Triton is away.
        """
        index = self._call("list models", "get_model_repository_index", client_timeout=CALL_TIMEOUT_S)
        return sorted(model.name for model in index.models if model.state == "READY")

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _call(self, what: str, method: str, *arguments: Any, **options: Any) -> Any:
        """Call Triton and put its failure into one sentence."""
        from tritonclient.utils import InferenceServerException

        try:
            return getattr(self._client, method)(*arguments, **options)
        except InferenceServerException as error:
            reason = " ".join(str(error.message()).split()).rstrip(".")
            text = f"Triton at {self._url} could not {what}: {reason}."
            kind = TransientError if _is_transient(str(error.status())) else FatalError
            raise kind(text) from None


class LocalAdmin:
    """The same for models that run inside the workers: they find them in the repository by name.

    Args:
        repository_dir: Where workers look for models.
    """

    def __init__(self, repository_dir: Path) -> None:
        self._repository_dir = repository_dir

    def deploy(self, name: str, onnx_path: Path) -> None:
        """Copy a model into the repository after loading it once.

        Raises:
            FatalError: onnxruntime refuses the model, or it cannot be copied.
        """
        import onnxruntime

        try:
            onnxruntime.InferenceSession(str(onnx_path), providers=["CPUExecutionProvider"])
        except Exception as error:
            # onnxruntime raises a class of its own per status code, without a common base.
            raise FatalError(f"The model {name} cannot be loaded: {' '.join(str(error).split())}") from None
        materialise(self._repository_dir, name, onnx_path)

    def unload(self, name: str) -> None:
        """Remove a model's files; a worker that has it loaded keeps its own copy."""
        shutil.rmtree(self._repository_dir / name, ignore_errors=True)

    def loaded(self) -> list[str]:
        """Return the names of the models in the repository, sorted."""
        return sorted(path.parent.parent.name for path in self._repository_dir.glob("[!.]*/1/model.onnx"))

    def close(self) -> None:
        """Do nothing: there is no connection."""


def make_admin(settings: Settings) -> ModelServer:
    """Return the administration of whatever serves models under these settings."""
    if settings.triton_url == IN_PROCESS:
        return LocalAdmin(settings.triton_repository_dir)
    return TritonAdmin(settings.triton_url, settings.triton_repository_dir, settings.triton_backend)


def _is_transient(status: str) -> bool:
    """Tell a server that is away or slow from one that has refused."""
    return any(code in status for code in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"))
