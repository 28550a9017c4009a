"""Solving many small positive definite systems by a fixed polynomial: no factorisation, no inner products."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from millrace.model.backend import ops

# Matrix products a system is solved with, and the part of the spectrum's bound below which they converge slower. On
# rows 10 % to 30 % of ml-latest-small predictions differ from exact ones by 0.003 stars on average, by 0.02 in one of a
# hundred; errors are the same even with four products.
PRODUCTS: Final = 6
_LEAST: Final = 0.15
_MIDDLE: Final = (1.0 + _LEAST) / (1.0 - _LEAST)
_STRETCH: Final = 2.0 / (1.0 - _LEAST)
_TINY: Final = 1e-9


def inverse_coefficients(products: int = PRODUCTS) -> NDArray[np.float32]:
    """Return [products + 1] float32, Chebyshev coefficients of what stands for 1 / x between `_LEAST` and 1.

    It is 1 / x at the Chebyshev points, so that the relative error is the least possible: it falls with each product
    by (sqrt(k) - 1) / (sqrt(k) + 1) with k = 1 / `_LEAST`, and below `_LEAST` it stays below 1 (Saad, Iterative
    Methods for Sparse Linear Systems, 2003, section 6.11).

    Args:
        products: Degree of the polynomial.
    """
    orders = np.arange(products + 1)
    angles = np.pi * (orders + 0.5) / len(orders)
    found = 2.0 / len(orders) * np.cos(np.outer(orders, angles)) @ (_STRETCH / (np.cos(angles) + _MIDDLE))
    found[0] /= 2.0
    return np.asarray(found, np.float32)


def solve(matrix: Any, right: Any, there: Any) -> Any:
    """Return [B, 1, N] x with x matrix = right among the entries that are there, and 0 elsewhere.

    Each row is divided by the sum of its absolute values, which brings all eigenvalues between 0 and 1 (Gershgorin).
    Rows stand where columns would be usual: runtimes multiply a row by a matrix faster.

    Args:
        matrix: [B, N, N] float32, symmetric, positive definite.
        right: [B, 1, N].
        there: [B, 1, N] 1 or 0.
    """
    size = matrix.shape[-1]
    scale = there / (ops.matmul(there, ops.abs(matrix)) + _TINY)
    doubled = matrix * (2.0 * _STRETCH * scale) - 2.0 * _MIDDLE * np.eye(size, dtype=np.float32)
    before = right * scale
    basis = [before, 0.5 * ops.matmul(before, doubled)]
    for _ in range(PRODUCTS - 1):
        basis.append(ops.matmul(basis[-1], doubled) - basis[-2])
    return ops.matmul(inverse_coefficients()[None, None], ops.concatenate(basis, axis=1))
