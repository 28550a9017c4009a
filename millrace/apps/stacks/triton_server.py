"""The Triton server that the nvidia-pytriton wheel carries, as a child process.

The wheel brings tritonserver 2.51 with the Python backend only. The backend looks for its stub (the process that runs
the model) beside itself, so the backend folder is laid out anew with links. Linux on x86-64 with glibc 2.35 or newer.
"""

import contextlib
import http.client
import importlib.metadata
import os
import platform
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Any

from millrace.apps.stacks.child import Child, start_child
from millrace.apps.stacks.ports import LOOPBACK, choose_port
from millrace.kernel.errors import FatalError
from millrace.kernel.extras import how_to_install

MIN_GLIBC = (2, 35)
PROBE_TIMEOUT_S = 0.5
# Tensors travel between Triton and its stub through shared memory: large enough that no batch makes it grow.
SHARED_MEMORY_BYTES = 32 * 1024 * 1024
SHARED_MEMORY_DIR = Path("/dev/shm")  # noqa: S108 - where POSIX shared memory lives on Linux
REGION_PREFIX = "millrace-"
# How long it may finish requests after SIGTERM.
EXIT_TIMEOUT_S = 3


def unsupported_reason() -> str | None:
    """Return why the wheel's Triton cannot run here, None if it can."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return f"the Triton in nvidia-pytriton runs on Linux x86-64 only, this is {sys.platform} {platform.machine()}"
    version = platform.libc_ver()[1]
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < MIN_GLIBC:
        return f"the Triton in nvidia-pytriton needs glibc 2.35 or newer, this is {version or 'another libc'}"
    return None


class TritonServer:
    """Triton on loopback ports, with explicit model control.

    Args:
        log_dir: Where its log goes.
        work_dir: Where its backend folder is laid out.
        repository_dir: The model repository; made if missing.
        grpc_port: 0 takes any free one; likewise the other two.
        http_port: HTTP, used for the readiness probe.
        metrics_port: Prometheus page.
    """

    name = "triton"

    def __init__(
        self,
        log_dir: Path,
        work_dir: Path,
        repository_dir: Path,
        grpc_port: int = 0,
        http_port: int = 0,
        metrics_port: int = 0,
    ) -> None:
        self.child: Child | None = None
        self._log_dir = log_dir
        self._work_dir = work_dir
        self._repository_dir = repository_dir
        self._ports = (grpc_port, http_port, metrics_port)
        self._region_prefix = f"{REGION_PREFIX}{os.getpid()}-{id(self):x}-"

    def start(self) -> None:
        """Start the server; started again, it keeps its ports and loads what is in its repository.

        Raises:
            FatalError: The platform, the wheel, numpy or a port does not allow it.
        """
        if reason := unsupported_reason():
            raise FatalError(f"Triton cannot start: {reason}.")
        _check_numpy()
        grpc_port, http_port, metrics_port = self._ports
        self._ports = (
            choose_port(grpc_port, "Triton's gRPC"),
            choose_port(http_port, "Triton's HTTP"),
            choose_port(metrics_port, "Triton's metrics"),
        )
        package = _package_dir()
        backends = self._lay_out_backend(package)
        self._repository_dir.mkdir(parents=True, exist_ok=True)
        _remove_regions_of_the_dead()
        command = [str(package / "tritonserver" / "bin" / "tritonserver"), *self._options(backends)]
        self.child = start_child(self.name, command, self._log_dir, _environment(package))

    def _lay_out_backend(self, package: Path) -> Path:
        """Link the backend and the stub for this Python into one folder."""
        source = package / "tritonserver"
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        stub = source / "python_backend_stubs" / version / "triton_python_backend_stub"
        if not stub.exists():
            raise FatalError(f"The installed nvidia-pytriton has no Triton stub for Python {version}; use Python 3.11.")
        target = self._work_dir / "backends" / "python"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for file in (*(source / "backends" / "python").iterdir(), stub):
            (target / file.name).symlink_to(file)
        return target.parent

    def _options(self, backends: Path) -> list[str]:
        grpc_port, http_port, metrics_port = self._ports
        return [
            f"--model-repository={self._repository_dir.absolute()}",
            f"--backend-directory={backends.absolute()}",
            "--model-control-mode=explicit",
            # Nothing at the first start; after a crash, the versions that were being served. One that cannot load
            # does not keep the others from serving.
            "--load-model=*",
            "--exit-on-error=false",
            "--strict-readiness=false",
            # The configuration says everything; guessing would start each model's stub twice.
            "--disable-auto-complete-config",
            f"--http-address={LOOPBACK}",
            f"--http-port={http_port}",
            f"--grpc-address={LOOPBACK}",
            f"--grpc-port={grpc_port}",
            f"--metrics-address={LOOPBACK}",
            f"--metrics-port={metrics_port}",
            "--allow-gpu-metrics=false",
            f"--exit-timeout-secs={EXIT_TIMEOUT_S}",
            f"--backend-config=python,shm-region-prefix-name={self._region_prefix}",
            f"--backend-config=python,shm-default-byte-size={SHARED_MEMORY_BYTES}",
        ]

    def ready(self) -> bool:
        """Ask its health page."""
        connection = http.client.HTTPConnection(LOOPBACK, self._ports[1], timeout=PROBE_TIMEOUT_S)
        try:
            connection.request("GET", "/v2/health/ready")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def stop(self) -> None:
        """End the server and give its shared memory back."""
        if self.child is None:
            return
        self.child.stop()
        for region in SHARED_MEMORY_DIR.glob(f"*{self._region_prefix}*"):
            region.unlink(missing_ok=True)

    def settings(self) -> dict[str, Any]:
        """Return its gRPC address and its repository."""
        return {"triton_url": f"{LOOPBACK}:{self._ports[0]}", "triton_repository": self._repository_dir.absolute()}


def _check_numpy() -> None:
    version = importlib.metadata.version("numpy")
    if not version.startswith("1."):
        raise FatalError(
            f"The Triton in nvidia-pytriton garbles tensors under numpy 2 without an error, and numpy {version} is "
            "installed: pip install numpy==1.26.4."
        )


def _package_dir() -> Path:
    """Return the folder of the pytriton package without importing it, which would cost a second."""
    try:
        return Path(str(importlib.metadata.distribution("nvidia-pytriton").locate_file("pytriton")))
    except importlib.metadata.PackageNotFoundError:
        raise FatalError(f"The embedded Triton needs nvidia-pytriton; {how_to_install('embedded')}.") from None


def _environment(package: Path) -> dict[str, str]:
    """Return variables under which the stub finds this interpreter's library and packages.

    The interpreter's library comes first: the wheel carries one of Python 3.13, with which the stub of 3.11 fails
    (`undefined symbol: _PyModule_Add`).
    """
    environment = dict(os.environ)
    libraries = [str(sysconfig.get_config_var("LIBDIR")), str(package.parent / "nvidia_pytriton.libs")]
    environment["LD_LIBRARY_PATH"] = os.pathsep.join([*libraries, environment.get("LD_LIBRARY_PATH", "")]).rstrip(":")
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")])
    return environment


def _remove_regions_of_the_dead() -> None:
    """Give back shared memory of servers that were killed: their regions carry the process id of their stack."""
    for region in SHARED_MEMORY_DIR.glob(f"*{REGION_PREFIX}*"):
        owner = region.name.partition(REGION_PREFIX)[2].partition("-")[0]
        if owner.isdigit() and not Path("/proc", owner).exists():
            with contextlib.suppress(OSError):
                region.unlink()
