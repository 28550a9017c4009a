"""Compiling the numeric kernels: one decorator, so that every kernel is cached on disk and typed for mypy."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile with numba on first call and keep the machine code beside the module.

    A cached kernel is looked up by the time stamp of its own file: keep constants and helpers that a kernel uses in the
    kernel's file, or a change to them goes unnoticed.
    """
    return cast(_Function, numba.njit(cache=True, nogil=True, error_model="numpy")(function))
