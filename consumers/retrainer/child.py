"""Runs trainings in a child process and follows them."""

import asyncio
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from millrace.kernel.errors import FatalError, TransientError
from millrace.kernel.settings import Settings
from millrace.runtime import launcher

JOB_MODULE = "millrace.consumers.retrainer.job"
# A child that was asked to end and does not (TensorFlow in the middle of a step) is killed after this.
_GRACE_S = 5.0
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "NUMBA_NUM_THREADS")
_UNFINISHED = ".unfinished-*"
# Followed by the process id of the retrainer.
_SCRATCH = "millrace-training-"

Progress = Callable[[str, float], None]


class TrainingEndedError(TransientError):
    """The training process was killed or ran out of memory: it ended without an answer."""


class TrainingChild:
    """The process that trains; it stays between trainings, and what it has learned with it.

    Args:
        settings: Given to the child through its environment.
        threads: Most threads of its numeric libraries.
        module: What to run; another one in tests.
    """

    def __init__(self, settings: Settings, threads: int = 2, module: str = JOB_MODULE) -> None:
        self._settings = settings
        self._threads = threads
        self._module = module
        self._process: asyncio.subprocess.Process | None = None
        self._scratch = ""
        self._started_s = 0.0
        # The version that the process has published last, or went on from: what it knows.
        self._knows: str | None = None

    async def train(self, parent: str | None, refresh: str, on_progress: Progress) -> str:
        """Train and return the new version's name. Cancelling ends the child and leaves nothing half there.

        Args:
            parent: Version to go on from; a child that knows another one is replaced.
            refresh: `due` or `all`.
            on_progress: Told phase and share.

        Raises:
            TrainingEndedError: The child was killed or ran out of memory: try again.
            TransientError: It says that a server is away: try again when that is back.
            FatalError: It says that it cannot work.
        """
        if self._process is not None and self._knows != parent:
            await self.close()
        version = ""
        try:
            process = self._process or await self._start(parent)
            version = self._knows = await self._ask(process, refresh, on_progress)
            return version
        finally:
            if not version:
                await self.close()

    async def close(self) -> None:
        """End the child, if there is one, and remove what it left."""
        process, self._process = self._process, None
        if process is None:
            return
        await _end(process)
        shutil.rmtree(self._scratch, ignore_errors=True)
        _remove_unfinished(self._settings.registry_dir, self._started_s)

    async def _start(self, parent: str | None) -> asyncio.subprocess.Process:
        self._started_s = time.time()
        _remove_abandoned(Path(tempfile.gettempdir()))
        self._scratch = tempfile.mkdtemp(prefix=f"{_SCRATCH}{os.getpid()}-")
        self._knows = parent
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", launcher.__file__, str(os.getpid())),
            *(sys.executable, "-P", "-m", self._module, *(["--parent", parent] if parent else [])),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=self._environment(self._scratch),
        )
        return self._process

    async def _ask(self, process: asyncio.subprocess.Process, refresh: str, on_progress: Progress) -> str:
        """Ask for one training and follow it."""
        if process.stdin is None or process.stdout is None:
            raise FatalError("The training process has no pipes.")
        with contextlib.suppress(ConnectionError):
            process.stdin.write(json.dumps({"refresh": refresh}).encode() + b"\n")
            await process.stdin.drain()
        async for line in process.stdout:
            message = _message(line)
            if "phase" in message:
                on_progress(str(message["phase"]), float(str(message["fraction"])))
            if "error" in message:
                raise (TransientError if message.get("transient") else FatalError)(str(message["error"]))
            if "version" in message:
                return str(message["version"])
        code = await process.wait()
        raise TrainingEndedError(f"The training ended with code {code} and no version; see its log.")

    def _environment(self, scratch: str) -> dict[str, str]:
        threads = dict.fromkeys(_THREAD_VARIABLES, str(self._threads))
        quiet = {"TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONUNBUFFERED": "1"}
        return {**os.environ, **self._settings.environment(), **threads, **quiet, "TMPDIR": scratch}


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a child that is still there."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _GRACE_S)
    except TimeoutError:
        process.kill()
        await process.wait()


def _message(line: bytes) -> dict[str, object]:
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def _remove_unfinished(registry: Path, since_s: float) -> None:
    """Remove what a killed training left; folders of others, begun before, stay."""
    for folder in registry.glob(_UNFINISHED):
        try:
            if folder.stat().st_mtime >= since_s:
                shutil.rmtree(folder, ignore_errors=True)
        except FileNotFoundError:
            continue


def _remove_abandoned(temporary: Path) -> None:
    """Remove the scratch folders of retrainers that were killed."""
    for folder in temporary.glob(f"{_SCRATCH}*-*"):
        pid = folder.name.removeprefix(_SCRATCH).partition("-")[0]
        if pid.isdigit() and not _runs(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
