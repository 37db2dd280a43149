"""Matrix products of NumPy arrays whose bits do not depend on the threads of BLAS.

OpenBLAS divides a large product among threads, and then adds in another order. Therefore this module divides products
into pieces that OpenBLAS computes in the calling thread. The pieces, and the order in which pieces of a sum are added,
depend on the shapes alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

from upsample.arrays import NDArray

__all__ = ["ONE_THREAD", "fits", "matmul"]

ONE_THREAD, _COMPLEX = 1 << 18, 1 << 15
"""Most multiplications of a product in one thread, for real and for complex matrices. OpenBLAS uses other threads from
2^18 and 2^16 on (``interface/gemm.c``)."""
_VECTOR, _COMPLEX_VECTOR = 1 << 13, 1 << 11
"""Most multiplications of a matrix and a vector in one thread, for real and for complex matrices: see
``interface/gemv.c`` and ``zgemv.c``."""
_DEPTH = 128
"""Most terms of a sum in a piece; with more, pieces would have too few columns to be fast."""
_COLUMNS = 16
"""Factor of a piece's columns; it is a multiple of the vector lengths of BLAS kernels."""


def matmul(xp: ModuleType, a: Any, b: Any) -> Any:
    """Return ``a [..., M, K]`` times ``b [..., K, N]``; arrays of other libraries are multiplied by their library."""
    if xp is not np:
        return xp.matmul(a, b)
    (m, k), n = a.shape[-2:], b.shape[-1]
    if fits(m, k, n, a.dtype):
        return np.matmul(a, b)
    a, b = _regular(a), _regular(b)
    result = np.empty((*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), m, n), dtype=np.result_type(a, b))
    depth = _DEPTH if 1 not in (m, n) else _most(True, a.dtype) // min(max(m, n), _COLUMNS)
    for begin in range(0, k, depth):
        terms = slice(begin, begin + depth)
        _multiply(a[..., terms], b[..., terms, :], result, begin > 0)
    return result


def fits(m: int, k: int, n: int, dtype: np.dtype[Any]) -> bool:
    """Tell whether BLAS computes a product in one thread."""
    return m * k * n <= _most(1 in (m, n), dtype)


def _most(is_vector: bool, dtype: np.dtype[Any]) -> int:
    """Return the most multiplications in one thread, for a product with a vector or of two matrices."""
    if dtype.kind == "c":
        return _COMPLEX_VECTOR if is_vector else _COMPLEX
    return _VECTOR if is_vector else ONE_THREAD


def _regular(x: NDArray) -> NDArray:
    """Return the array, or a contiguous copy if BLAS would copy each piece."""
    return x if x.itemsize in x.strides[-2:] else np.ascontiguousarray(x)


def _multiply(a: NDArray, b: NDArray, result: NDArray, is_added: bool) -> None:
    """Store or add the product of thin matrices in pieces; NumPy multiplies all pieces of one size in one call.

    A piece has so few rows that BLAS multiplies even a single remaining column, a vector, in one thread.
    """
    (m, k), n, vector = a.shape[-2:], b.shape[-1], _most(True, a.dtype)
    for rows, height in _pieces(m, max(1, vector // max(k, _DEPTH)), 1):
        left = a[..., rows, :].reshape(*a.shape[:-2], -1, 1, height, k)
        most = max(1, _most(1 in (height, n), a.dtype) // (height * k))
        for columns, width in _pieces(n, most, _COLUMNS):
            right = b[..., columns].reshape(*b.shape[:-2], 1, k, -1, width).swapaxes(-3, -2)
            target = result[..., rows, columns].reshape(*result.shape[:-2], left.shape[-4], height, -1, width)
            target = target.swapaxes(-3, -2)
            if is_added:
                target += np.matmul(left, right)
            else:
                np.matmul(left, right, out=target)


def _pieces(size: int, most: int, multiple: int) -> Iterator[tuple[slice, int]]:
    """Divide a range into pieces: yield the slice that pieces of one size cover, and this size; then the rest."""
    step = min(size, most if most < multiple else most // multiple * multiple)
    covered = size // step * step
    yield slice(0, covered), step
    if covered < size:
        yield slice(covered, size), size - covered
