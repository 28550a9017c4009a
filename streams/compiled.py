"""Compiling the numeric kernels: one decorator, so that every kernel is cached on disk and typed for mypy."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numpy.typing import NDArray

from millrace.kernel.errors import ConfigurationError

_Array = TypeVar("_Array", bound=NDArray[Any])
_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile with numba on first call and keep the machine code beside the module.

    A change to any file of `streams` beside a kernel makes the kept code of all kernels void. Numba by itself looks at
    a kernel's own file alone, but code is also made of the kernels and constants of other files, and of the layout of
    the tuples it takes: with old code for a tuple that has changed since, a process reads memory that is not its own.
    """
    return cast(_Function, _kept(function))


def compiled_sums(function: _Function) -> _Function:
    """Do as `compiled`, but let the compiler add up floats in any order, which is to say several at once."""
    free = {"reassoc", "contract", "nsz"}
    return cast(_Function, _kept(function, fastmath=free))


def _kept(function: Callable[..., Any], **options: Any) -> Any:
    try:
        kernel = numba.njit(cache=True, nogil=True, error_model="numpy", **options)(function)
    except RuntimeError as error:
        # Numba has tried the module's folder and the user's cache. Without either, every process would compile for
        # half a minute.
        raise ConfigurationError(
            f"Compiled kernels cannot be kept ({error}); set NUMBA_CACHE_DIR to a folder that can be written."
        ) from None
    kept = kernel._cache._cache_file
    # Of another version nothing further is read: what is kept names classes that may be gone.
    kept._version = (kept._version, _SOURCES)
    return kernel


def plain(array: _Array) -> _Array:
    """Return the array, or a copy of one that is read-only, as decoded from bytes, or not contiguous.

    For such a one numba would compile a kernel a second time.
    """
    return array if array.flags.carray else array.copy()


def _stamp(package: Path) -> tuple[tuple[str, float, int], ...]:
    """Return path, time and size of the files in the package's own folder, and in those folders that have kernels."""
    files = sorted(package.rglob("*.py"))
    folders = {package, *(path.parent for path in files if "import compiled" in path.read_text(encoding="utf-8"))}
    stamps = ((path.relative_to(package).as_posix(), path.stat()) for path in files if path.parent in folders)
    return tuple((name, stat.st_mtime, stat.st_size) for name, stat in stamps)


_SOURCES = _stamp(Path(__file__).parent)
