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
    """Compile with numba on the first call and cache the machine code beside the module.

    A change to any file in a folder with kernels voids the cache of all kernels. Numba by itself checks only a kernel's
    own file, but its code also depends on kernels and constants of other files and on the layout of its tuple
    arguments: with stale code for a tuple that has changed, a process would read memory out of bounds.
    """
    return cast(_Function, _cached(function))


def compiled_sums(function: _Function) -> _Function:
    """Compile like `compiled`, but allow float sums in any order, and so several additions at once."""
    free = {"reassoc", "contract", "nsz"}
    return cast(_Function, _cached(function, fastmath=free))


def _cached(function: Callable[..., Any], **options: Any) -> Any:
    try:
        kernel = numba.njit(cache=True, nogil=True, error_model="numpy", **options)(function)
    except RuntimeError as error:
        # Numba has tried the module's folder and the user's cache. Without either, every process would compile for
        # half a minute.
        raise ConfigurationError(
            f"Compiled kernels cannot be kept ({error}); set NUMBA_CACHE_DIR to a folder that can be written."
        ) from None
    cache = kernel._cache._cache_file
    # A cache of another version is not read any further: it may name classes that are gone.
    cache._version = (cache._version, _SOURCES)
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
