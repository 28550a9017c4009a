"""Logarithms of whole arrays at once: written so that the compiler takes several numbers in one instruction."""

import numpy as np
from numpy.typing import NDArray

from millrace.streams.compiled import compiled

# The bits of sqrt(1/2) as float32: mantissas are taken from [sqrt(1/2), sqrt(2)).
_ROOT_OF_HALF = np.int32(0x3F3504F3)
_MANTISSA = np.int32(0x7FFFFF)
_LN_2 = np.float32(0.6931471805599453)
# Coefficients of `logf` of the Cephes library (S. L. Moshier), exact to about one unit in the last place.
_C0, _C1, _C2 = np.float32(7.0376836292e-2), np.float32(-1.1514610310e-1), np.float32(1.1676998740e-1)
_C3, _C4, _C5 = np.float32(-1.2420140846e-1), np.float32(1.4249322787e-1), np.float32(-1.6668057665e-1)
_C6, _C7, _C8 = np.float32(2.0000714765e-1), np.float32(-2.4999993993e-1), np.float32(3.3333331174e-1)
_HALF = np.float32(0.5)


@compiled
def log_all(numbers: NDArray[np.float32], exponents: NDArray[np.float32]) -> None:
    """Replace normal positive numbers by their natural logarithms.

    Args:
        numbers: [N], contiguous.
        exponents: [>= N] scratch.
    """
    bits = numbers.view(np.int32)
    for place in range(len(numbers)):
        above = np.int32(bits[place] - _ROOT_OF_HALF)
        exponents[place] = np.float32(np.int32(above >> 23))
        bits[place] = np.int32(np.int32(above & _MANTISSA) + _ROOT_OF_HALF)
    for place in range(len(numbers)):
        part = numbers[place] - np.float32(1.0)
        square = part * part
        tail = _C0 * part + _C1
        tail = tail * part + _C2
        tail = tail * part + _C3
        tail = tail * part + _C4
        tail = tail * part + _C5
        tail = tail * part + _C6
        tail = tail * part + _C7
        tail = tail * part + _C8
        numbers[place] = exponents[place] * _LN_2 + (part + (square * part * tail - _HALF * square))
