"""Exponentials of whole arrays at once: written so that the compiler takes several numbers in one instruction."""

import numpy as np
from numpy.typing import NDArray

from millrace.streams.compiled import compiled

# Below this the exponential is next to nothing, and no longer a normal number: it becomes 1e-37.
_LEAST = np.float32(-85.0)
_LOG2_E = np.float32(1.44269504088896341)
# ln 2 in two parts, the first with few digits, so that the product with a whole number is exact.
_LN_2_HIGH, _LN_2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
# Coefficients of `expf` of the Cephes library (S. L. Moshier), exact to about one unit in the last place.
_C0, _C1, _C2 = np.float32(1.9875691500e-4), np.float32(1.3981999507e-3), np.float32(8.3334519073e-3)
_C3, _C4, _C5 = np.float32(4.1665795894e-2), np.float32(1.6666665459e-1), np.float32(5.0000001201e-1)


@compiled
def exp_all(numbers: NDArray[np.float32]) -> None:
    """Replace numbers from -infinity to 85 by their exponentials.

    Args:
        numbers: [N], contiguous.
    """
    bits = numbers.view(np.int32)
    for place in range(len(numbers)):
        number = max(numbers[place], _LEAST)
        # Rounds to the nearest whole number: the shift by a half makes the cut towards zero one downwards.
        whole = np.int32(number * _LOG2_E + np.float32(128.5)) - np.int32(128)
        scale = np.float32(whole)
        part = (number - scale * _LN_2_HIGH) - scale * _LN_2_LOW
        tail = _C0 * part + _C1
        tail = tail * part + _C2
        tail = tail * part + _C3
        tail = tail * part + _C4
        tail = tail * part + _C5
        numbers[place] = tail * part * part + part + np.float32(1.0)
        bits[place] += np.int32(whole << 23)
