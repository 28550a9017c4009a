"""Runs a training in a child process and follows it."""

import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from millrace.config import Settings
from millrace.errors import FatalError, TransientError
from millrace.stacks import launcher

JOB_MODULE = "consumers.retrainer.job"
# A child that was asked to end and does not (TensorFlow in the middle of a step) is killed after this.
_GRACE_S = 5.0
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "NUMBA_NUM_THREADS")
_UNFINISHED = ".unfinished-*"

Progress = Callable[[str, float], None]


class TrainingChild:
    """One training under way.

    Args:
        settings: Given to the child through its environment.
        threads: Most threads of its numeric libraries.
        module: What to run; another one in tests.
    """

    def __init__(self, settings: Settings, threads: int = 2, module: str = JOB_MODULE) -> None:
        self._settings = settings
        self._threads = threads
        self._module = module

    async def run(self, arguments: Sequence[str], on_progress: Progress) -> str:
        """Train and return the new version's name. Cancelling ends the child and leaves nothing half there.

        Raises:
            TransientError: The child was killed or ran out of memory: try again.
            FatalError: It says that it cannot work.
        """
        started_s = time.time()
        scratch = tempfile.mkdtemp(prefix="millrace-training-")
        try:
            return await self._follow(arguments, scratch, on_progress)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
            _remove_unfinished(self._settings.registry_dir, started_s)

    async def _follow(self, arguments: Sequence[str], scratch: str, on_progress: Progress) -> str:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", launcher.__file__, str(os.getpid())),
            *(sys.executable, "-m", self._module, *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            env=self._environment(scratch),
        )
        version = error = ""
        try:
            assert process.stdout is not None  # noqa: S101 - asked for above
            async for line in process.stdout:
                message = _message(line)
                if "phase" in message:
                    on_progress(str(message["phase"]), float(str(message["fraction"])))
                version = str(message.get("version", version))
                error = str(message.get("error", error))
            code = await process.wait()
        finally:
            await _end(process)
        if error:
            raise FatalError(error)
        if code or not version:
            raise TransientError(f"The training ended with code {code} and no version; its log tells more.")
        return version

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
